import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createWriteStream, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterEach, test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { parseReference } from "../image/reference.ts";
import type { DebianRecipe } from "../model/definition.ts";
import { createLocalStore } from "../store/local.ts";
import { buildArtifact } from "./build.ts";
import { importImage } from "./exchange/import.ts";
import { saveImages } from "./exchange/save.ts";
import type { BuiltArtifact } from "./options.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));
function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-artifacts-"));
  folders.push(dir);
  return dir;
}

function recipe(packages: readonly string[]): DebianRecipe {
  return {
    kind: "debian",
    suite: "bookworm",
    packages,
    recommends: false,
    full: false,
    architectures: [],
    copy: [{ from: "server.js", to: "/app/server.js" }],
    env: {},
    workdir: "/app",
    user: "65532:65532",
    command: ["node", "server.js"],
    expose: [8080],
  };
}

function newProject(): string {
  const dir = newFolder();
  writeFileSync(join(dir, "server.js"), "console.log(process.version)\n");
  return dir;
}

test(
  "`buildArtifact()` makes a nodejs image that runs, the same bytes twice, and skopeo carries it there and back",
  { timeout: 600_000 },
  async () => {
    const project = newProject();
    const store = createLocalStore(newFolder());
    const signal = new AbortController().signal;
    const umask = process.umask();
    const build = (mask: number): Promise<BuiltArtifact> => {
      process.umask(mask);
      return buildArtifact(recipe(["nodejs"]), {
        projectDir: project,
        store,
        cacheDir: newFolder(),
        report: () => undefined,
        signal,
      }).finally(() => process.umask(umask));
    };
    const built = await build(0o022);
    assert.equal((await build(0o077)).digest, built.digest);
    const archive = join(newFolder(), "node.tar");
    await saveImages(
      [{ digest: built.digest, name: parseReference("node:1") }],
      { store, format: "both", signal },
      (bytes) => pipeline(bytes, createWriteStream(archive)),
    );
    const seen = JSON.parse(execFileSync("skopeo", ["inspect", `oci-archive:${archive}`], { encoding: "utf8" })) as {
      Digest: string;
      Layers: string[];
    };
    assert.equal(seen.Digest, built.digest);
    const archives = newFolder();
    execFileSync("skopeo", [
      "copy",
      "--quiet",
      "--preserve-digests",
      `oci-archive:${archive}`,
      `oci-archive:${archives}/oci.tar:node:1`,
    ]);
    execFileSync("skopeo", [
      "copy",
      "--quiet",
      `oci-archive:${archive}`,
      `docker-archive:${archives}/docker.tar:node:1`,
    ]);
    const other = createLocalStore(newFolder());
    assert.equal(
      (await importImage(join(archives, "oci.tar"), { store: other, signal })).layers[0]?.digest,
      built.layers[0]?.digest,
    );
    assert.equal((await importImage(join(archives, "docker.tar"), { store: other, signal })).layers.length, 2);
    const root = newFolder();
    for (const layer of built.layers)
      execFileSync("tar", [
        "--extract",
        "--keep-directory-symlink",
        "--file",
        await store.path(layer.digest),
        "--directory",
        root,
      ]);
    assert.match(
      execFileSync("chroot", [root, "/usr/bin/node", "/app/server.js"], {
        encoding: "utf8",
        env: { PATH: process.env["PATH"] },
      }),
      /^v[0-9]+\./,
    );
  },
);

test(
  "`buildArtifact()` says which package cannot be had, and leaves nothing in its cache folder",
  { timeout: 600_000 },
  async () => {
    const cacheDir = newFolder();
    await assert.rejects(
      buildArtifact(recipe(["no-such-package-anywhere"]), {
        projectDir: newProject(),
        store: createLocalStore(newFolder()),
        cacheDir,
        report: () => undefined,
        signal: new AbortController().signal,
      }),
      (error) =>
        error instanceof OperatorError &&
        error.code === "BUILD_FAILED" &&
        /no-such-package-anywhere/.test(String(error.cause)),
    );
    assert.deepEqual(readdirSync(join(cacheDir, "tmp")), []);
  },
);

test(
  "`buildArtifact()` stops at an interruption and leaves nothing in its cache folder",
  { timeout: 600_000 },
  async () => {
    const cacheDir = newFolder();
    const roots = join(cacheDir, "tmp");
    const controller = new AbortController();
    await assert.rejects(
      buildArtifact(recipe(["nodejs"]), {
        projectDir: newProject(),
        store: createLocalStore(newFolder()),
        cacheDir,
        report: (event) => {
          if (event.kind === "started" && event.step === "unpack") setImmediate(() => controller.abort());
        },
        signal: controller.signal,
      }),
      (error) => error instanceof OperatorError && error.code === "INTERRUPTED",
    );
    assert.deepEqual(readdirSync(roots), []);
  },
);
