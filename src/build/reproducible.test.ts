/** Every point of "byte-reproducible images", each held against the raw bytes of what a build writes, not against our own readers. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compareEntries, type TarEntry } from "../image/tar-entry.ts";
import { encodeHeader, writeTar } from "../image/tar-write.ts";
import { canonicalJson, type Json } from "../model/canonical.ts";
import { createLocalStore, type LocalStore } from "../store/local.ts";
import { buildArtifact } from "./build.ts";
import { member, newFolder } from "./exchange/image-fixture.suite.ts";
import type { BuiltArtifact } from "./options.ts";

const epoch = 1_600_000_000;
const longName = `${"d".repeat(120)}/${"é".repeat(70)}`;

interface Built {
  readonly built: BuiltArtifact;
  readonly store: LocalStore;
  readonly manifest: { readonly [key: string]: Json };
  readonly config: { readonly [key: string]: Json };
  readonly layers: readonly Buffer[];
}

async function build(projectDir: string, store = createLocalStore(newFolder()), tagAs = "app:1"): Promise<Built> {
  const built = await buildArtifact(
    { kind: "dockerfile", path: "Dockerfile" },
    {
      projectDir,
      store,
      cacheDir: newFolder(),
      tagAs,
      report: () => undefined,
      signal: new AbortController().signal,
    },
  );
  const manifest = JSON.parse((await store.read(built.digest)).toString()) as { config: { digest: string } };
  const config = readFileSync(await store.path(manifest.config.digest as BuiltArtifact["digest"]));
  return {
    built,
    store,
    manifest: manifest as unknown as Built["manifest"],
    config: JSON.parse(config.toString()) as Built["config"],
    layers: await Promise.all(built.layers.map(async ({ digest }) => readFileSync(await store.path(digest)))),
  };
}

function newProject(dockerfile: string, commit: boolean): string {
  const dir = newFolder();
  mkdirSync(join(dir, "src", longName.split("/")[0] ?? ""), { recursive: true });
  writeFileSync(join(dir, "src", longName), "long");
  writeFileSync(join(dir, "src", "b"), "b");
  linkSync(join(dir, "src", "b"), join(dir, "src", "a"));
  writeFileSync(join(dir, "src", "tool"), "#!");
  chmodSync(join(dir, "src", "tool"), 0o4775);
  symlinkSync("b", join(dir, "src", "link"));
  writeFileSync(join(dir, "Dockerfile"), dockerfile);
  if (commit) {
    git(dir, "init");
    git(dir, "add", ".");
    git(dir, "commit", "-m", "first");
  }
  return dir;
}

function git(dir: string, ...args: readonly string[]): void {
  const options = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
  const env = { ...process.env, GIT_COMMITTER_DATE: `${epoch} +0000` };
  execFileSync("git", ["-C", dir, ...options, ...args], { stdio: "ignore", env });
}

/** A member's header as its bytes are. */
interface RawHeader {
  readonly name: string;
  readonly flag: string;
  readonly mode: string;
  readonly owners: string;
  readonly mtime: number;
  readonly magic: string;
  readonly names: string;
  readonly devices: string;
  readonly target: string;
  readonly pax: readonly string[];
}

function rawHeaders(archive: Buffer): { readonly headers: readonly RawHeader[]; readonly end: Buffer } {
  const headers: RawHeader[] = [];
  let at = 0;
  while (archive[at] !== 0) {
    const text = (from: number, to: number): string => archive.toString("latin1", at + from, at + to);
    const plain = (from: number, to: number): string => text(from, to).replace(/\0+$/, "");
    const size = Number.parseInt(text(124, 135), 8);
    const body = archive.toString("latin1", at + 512, at + 512 + size);
    const prefix = plain(345, 500);
    headers.push({
      name: prefix === "" ? plain(0, 100) : `${prefix}/${plain(0, 100)}`,
      flag: text(156, 157),
      mode: text(100, 108),
      owners: text(108, 124),
      mtime: Number.parseInt(text(136, 147), 8),
      magic: text(257, 265),
      names: text(265, 329),
      devices: text(329, 345),
      target: plain(157, 257),
      pax: text(156, 157) === "x" ? body.split("\n").slice(0, -1) : [],
    });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return { headers, end: archive.subarray(at) };
}

const points = new Map<string, () => Promise<void> | void>();

points.set("ustar headers; numeric owners, empty names, device numbers 0, mode & 07777", async () => {
  const { layers } = await build(newProject("FROM scratch\nCOPY --chown=7:8 src /src\n", true));
  const { headers } = rawHeaders(layers[0] ?? Buffer.alloc(1));
  assert.ok(headers.length >= 7);
  for (const header of headers) {
    assert.equal(header.magic, "ustar\u000000");
    assert.equal(header.names, "\0".repeat(64));
    assert.equal(header.devices, "0000000\u00000000000\0");
  }
  const tool = headers.find(({ name }) => name === "src/tool");
  assert.deepEqual([tool?.mode, tool?.owners], ["0000755\0", "0000007\u00000000010\0"]);
});

points.set("pax records only where a field does not fit, keys sorted, no atime or ctime, one entry name", async () => {
  const { layers } = await build(newProject("FROM scratch\nCOPY src /src\n", true));
  const { headers } = rawHeaders(layers[0] ?? Buffer.alloc(1));
  const pax = headers.filter(({ flag }) => flag === "x");
  assert.deepEqual(
    pax.map(({ name, mtime, pax: records }) => [
      name,
      mtime,
      records.map((record) => record.replace(/^\d+ /, "").split("=")[0]),
    ]),
    // A folder's and a file's name of more than 100 bytes; all other names fit.
    [
      ["././@PaxHeader", 0, ["path"]],
      ["././@PaxHeader", 0, ["path"]],
    ],
  );
  const large: TarEntry = {
    path: "p".repeat(200),
    kind: "file",
    mode: 0o644,
    uid: 3_000_000,
    gid: 3_000_000,
    mtime: 0o77777777777 + 1,
    size: 0o77777777777 + 1,
    target: "",
  };
  const records = encodeHeader(large).toString("latin1", 512, 1024).split("\n").slice(0, 5);
  assert.deepEqual(
    records.map((record) => record.replace(/^\d+ /, "").split("=")[0]),
    ["gid", "mtime", "path", "size", "uid"],
  );
});

points.set("paths by their UTF-8 bytes, parents first, directories end in a slash, no ./", async () => {
  const { layers } = await build(newProject("FROM scratch\nCOPY src /src\n", true));
  const names = rawHeaders(layers[0] ?? Buffer.alloc(1))
    .headers.filter(({ flag }) => flag !== "x")
    .map(({ name, flag }) => [name.slice(0, 8), flag]);
  assert.deepEqual(names, [
    ["src/", "5"],
    ["src/a", "0"],
    ["src/b", "1"],
    [`src/${"d".repeat(4)}`, "5"],
    [`src/${"d".repeat(4)}`, "0"],
    ["src/link", "2"],
    ["src/tool", "0"],
  ]);
});

points.set("hard links to the first path in order", async () => {
  const { layers } = await build(newProject("FROM scratch\nCOPY src /src\n", true));
  const link = rawHeaders(layers[0] ?? Buffer.alloc(1)).headers.find(({ flag }) => flag === "1");
  assert.deepEqual([link?.name, link?.target], ["src/b", "src/a"]);
});

points.set("whiteouts before their siblings, after their folder", () => {
  const paths = ["d", "d/a", "d/.wh..wh..opq", "d/.wh.z", "d/!", "e", ".wh.a"];
  const sorted = paths.map((path) => ({ path })).sort(compareEntries);
  assert.deepEqual(
    sorted.map(({ path }) => path),
    [".wh.a", "d", "d/.wh..wh..opq", "d/.wh.z", "d/!", "d/a", "e"],
  );
});

points.set("two zero blocks at the end and nothing after them", async () => {
  const { layers } = await build(newProject("FROM scratch\nCOPY src /src\n", true));
  assert.deepEqual(rawHeaders(layers[0] ?? Buffer.alloc(1)).end, Buffer.alloc(1024));
  assert.deepEqual(Buffer.concat([...writeTar([])]), Buffer.alloc(1024));
});

points.set(
  "times in whole seconds, none after the commit's; of parent directories too; none of the check-out's",
  async () => {
    const project = newProject("FROM scratch\nCOPY src /src\n", true);
    utimesSync(join(project, "src", "tool"), 5.7, 5.7);
    const { layers } = await build(project);
    const times = rawHeaders(layers[0] ?? Buffer.alloc(1)).headers.filter(({ flag }) => flag !== "x");
    assert.deepEqual([...new Set(times.map(({ mtime }) => mtime))], [epoch]);
  },
);

points.set("no commit: 1970 and a warning; a dirty tree: the commit's time and bronze.source.dirty=true", async () => {
  const { built, layers, manifest, config } = await build(newProject("FROM scratch\nCOPY src /src\n", false));
  assert.deepEqual([...new Set(rawHeaders(layers[0] ?? Buffer.alloc(1)).headers.map(({ mtime }) => mtime))], [0]);
  assert.match(built.warnings.join("\n"), /no git commit here: files in the image are dated 1970-01-01/);
  assert.equal(config["created"], "1970-01-01T00:00:00Z");
  assert.equal((manifest["annotations"] as { readonly [key: string]: Json })["bronze.source.dirty"], undefined);
  const project = newProject("FROM scratch\nCOPY src /src\n", true);
  writeFileSync(join(project, "src", "tool"), "#!changed");
  const dirty = await build(project);
  assert.equal((dirty.manifest["annotations"] as { readonly [key: string]: Json })["bronze.source.dirty"], "true");
  assert.equal(dirty.config["created"], "2020-09-13T12:26:40Z");
});

points.set("SOURCE_DATE_EPOCH goes before the commit's time, in created, history and file times", async () => {
  const before = process.env["SOURCE_DATE_EPOCH"];
  process.env["SOURCE_DATE_EPOCH"] = "86400";
  try {
    const { config, layers } = await build(newProject("FROM scratch\nENV A=1\nCOPY src /src\n", true));
    assert.equal(config["created"], "1970-01-02T00:00:00Z");
    const history = config["history"] as readonly { readonly created: string }[];
    assert.deepEqual([...new Set(history.map(({ created }) => created))], ["1970-01-02T00:00:00Z"]);
    assert.equal(rawHeaders(layers[0] ?? Buffer.alloc(1)).headers[0]?.mtime, 86_400);
  } finally {
    if (before === undefined) delete process.env["SOURCE_DATE_EPOCH"];
    else process.env["SOURCE_DATE_EPOCH"] = before;
  }
});

points.set("config and manifest are UTF-8 with sorted keys and no white space", async () => {
  const { built, store, manifest } = await build(newProject('FROM scratch\nLABEL ü="ä b" a=1\nCOPY src /src\n', true));
  for (const digest of [built.digest, (manifest["config"] as { digest: BuiltArtifact["digest"] }).digest]) {
    const text = (await store.read(digest)).toString("utf8");
    assert.equal(canonicalJson(JSON.parse(text) as Json), text);
    assert.doesNotMatch(text, /[\n\t]|": |, "/);
  }
});

points.set("the base's layers and history stay as they were, and its time does not become ours", async () => {
  const store = createLocalStore(newFolder());
  const base = await build(newProject("FROM scratch\nCOPY src /base\n", false), store, "base:1");
  const above = await build(newProject("FROM base:1\nCOPY src /above\n", true), store);
  const layersOf = ({ manifest }: Built): readonly Json[] => manifest["layers"] as readonly Json[];
  const historyOf = ({ config }: Built): readonly Json[] => config["history"] as readonly Json[];
  assert.deepEqual(layersOf(above).slice(0, 1), layersOf(base));
  assert.deepEqual(historyOf(above).slice(0, historyOf(base).length), historyOf(base));
  assert.equal(above.config["created"], "2020-09-13T12:26:40Z");
});

points.set("commit and lock digest are annotations: equal content of two commits stays told apart", async () => {
  const project = newProject("FROM scratch\nCOPY src /src\n", true);
  const first = await build(project);
  git(project, "commit", "--allow-empty", "-m", "second");
  const second = await build(project);
  assert.notEqual(first.built.digest, second.built.digest);
  assert.deepEqual(first.config["rootfs"], second.config["rootfs"]);
  const revision = (one: Built): Json | undefined =>
    (one.manifest["annotations"] as { readonly [key: string]: Json })["org.opencontainers.image.revision"];
  assert.equal(revision(first), first.built.commit);
  assert.notEqual(revision(first), revision(second));
  const store = createLocalStore(newFolder());
  await build(newProject("FROM scratch\nCOPY src /base\n", true), store, "base:1");
  const locked = await build(newProject("FROM base:1\nCOPY src /src\n", true), store);
  const annotations = locked.manifest["annotations"] as { readonly [key: string]: string };
  assert.match(annotations["bronze.lock.digest"] ?? "", /^sha256:[0-9a-f]{64}$/);
});

points.set("umask, modes and order of the check-out, and the folder it is in do not show", async () => {
  const digests = new Set<string>();
  const umask = process.umask();
  for (const mask of [0o022, 0o077]) {
    process.umask(mask);
    try {
      const project = newProject("FROM scratch\nCOPY src /src\n", true);
      // Another order of making, and inodes that others had before.
      const text = readFileSync(join(project, "src", "tool"));
      rmSync(join(project, "src", "tool"));
      writeFileSync(join(project, "src", "tool"), text);
      chmodSync(join(project, "src", "tool"), mask === 0o077 ? 0o700 : 0o775);
      digests.add((await build(project)).built.layers[0]?.digest ?? "");
    } finally {
      process.umask(umask);
    }
  }
  assert.equal(digests.size, 1);
});

points.set("content is written as it is: sizes, bytes and padding with zeros", () => {
  const [first, second] = [member("a", "x".repeat(700)), member("b", "y")];
  const bytes = Buffer.concat([...writeTar([first, second])].map((piece) => Buffer.from(piece)));
  assert.equal(bytes.byteLength, 512 + 1024 + 512 + 512 + 1024);
  assert.deepEqual(bytes.subarray(512 + 700, 512 + 1024), Buffer.alloc(324));
});

for (const [point, check] of points) test(`reproducible: ${point}`, check);
