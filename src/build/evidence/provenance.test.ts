import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, test } from "node:test";
import { serialiseReferrer } from "../../image/referrer.ts";
import { sha256 } from "../../model/canonical.ts";
import type { BuildDefinition } from "../../model/definition.ts";
import { createLocalStore } from "../../store/local.ts";
import { named, readProvenance, type Provenance, type Resource } from "../../trust/provenance.ts";
import { predicateTypes } from "../../trust/statement.ts";
import { buildArtifact } from "../build.ts";
import type { BuildOptions } from "../options.ts";
import { parseManifest } from "../../image/oci.ts";
import { planRebuild } from "../rebuild/plan.ts";
import { readContextList } from "./context-list.ts";
import type { MadeStatement } from "./evidence.ts";
import { materialsType } from "./materials.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-evidence-"));
  folders.push(dir);
  return dir;
}

const dockerfile: BuildDefinition = { kind: "dockerfile", path: "Dockerfile" };

function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}

function git(dir: string, ...args: readonly string[]): void {
  execFileSync("git", ["-C", dir, "-c", "user.name=t", "-c", "user.email=t@localhost", ...args], { stdio: "ignore" });
}

function newProject(files: Readonly<Record<string, string>>): string {
  const dir = newFolder();
  write(dir, files);
  git(dir, "init", "--quiet");
  git(dir, "add", "--all");
  git(dir, "commit", "--quiet", "--message", "first");
  return dir;
}

async function build(projectDir: string, options: Partial<BuildOptions> = {}, definition = dockerfile) {
  const store = createLocalStore(newFolder());
  const statements: MadeStatement[] = [];
  const built = await buildArtifact(definition, {
    projectDir,
    store,
    cacheDir: newFolder(),
    report: () => undefined,
    signal: new AbortController().signal,
    evidence: {
      place: { app: "shop", path: "bronze.yaml", digest: sha256("app: shop") },
      tools: { bronze: "1" },
    },
    attest(subject, made) {
      statements.push(made);
      const manifest = serialiseReferrer({ subject, artifactType: "text/plain", layers: [], annotations: {} });
      return Promise.resolve({ bundle: null, manifest });
    },
    ...options,
  });
  const text = statements.find(({ predicateType }) => predicateType === predicateTypes.provenance)?.text;
  assert.ok(text !== undefined);
  const provenance = readProvenance(JSON.parse(text) as Parameters<typeof readProvenance>[0]);
  assert.ok(typeof provenance !== "string");
  return { store, built, provenance, text };
}

function only(resources: readonly Resource[], name: string): Resource {
  const [found, second] = named(resources, name);
  assert.ok(found !== undefined && second === undefined, `${name} is there once`);
  return found;
}

const dependencies = (provenance: Provenance): readonly Resource[] => provenance.buildDefinition.resolvedDependencies;

test("`gatherProvenance()` says the same, byte for byte, of two clones in other folders, states and time zones", async () => {
  const first = newProject({ Dockerfile: "FROM scratch\nCOPY . /app/\n", "src/a.js": "a", "b.txt": "b" });
  git(first, "remote", "add", "origin", "https://user:word@git.example/team/shop.git");
  const second = join(newFolder(), "elsewhere");
  cpSync(first, second, { recursive: true });
  const before = process.env["TZ"];
  const one = await build(first);
  try {
    process.env["TZ"] = "Asia/Tokyo";
    const two = await build(second);
    assert.equal(one.built.digest, two.built.digest);
    assert.equal(one.text, two.text);
  } finally {
    process.env["TZ"] = before ?? "";
    if (before === undefined) delete process.env["TZ"];
  }
  assert.ok(!one.text.includes(first) && !one.text.includes("word"));
  const source = only(dependencies(one.provenance), "source");
  assert.equal(source.uri, `git+https://git.example/team/shop.git@${one.built.commit}`);
  assert.deepEqual(source.digest, { gitCommit: one.built.commit });
});

test("`gatherProvenance()` keeps no file of a clean commit, and every file of one with changes", async () => {
  const project = newProject({
    Dockerfile: "FROM scratch AS one\nCOPY src /src\nFROM scratch\nCOPY --from=one /src/a.js /a\n",
    "src/a.js": "a",
    "src/b.js": "b",
  });
  const clean = await build(project);
  assert.equal(only(dependencies(clean.provenance), "context").annotations?.["kept"], false);
  assert.deepEqual(named(dependencies(clean.provenance), "part of the context"), []);
  write(project, { "src/c.js": "c" });
  const dirty = await build(project);
  assert.equal(only(dependencies(dirty.provenance), "source").annotations?.["dirty"], true);
  const parts = named(dependencies(dirty.provenance), "part of the context");
  assert.deepEqual(
    parts.map(({ annotations }) => annotations?.["title"]),
    ["list of the context", "layer of the context", "contents of the context"],
  );
  for (const { digest } of parts)
    assert.ok((await dirty.store.stat(`sha256:${digest?.["sha256"]}` as never)) !== undefined);
  const list = readContextList(await dirty.store.read(`sha256:${parts[0]?.digest?.["sha256"]}` as never));
  assert.ok(typeof list !== "string");
  assert.deepEqual(
    list.map(([kind, path]) => `${kind} ${path}`),
    ["file Dockerfile", "directory src", "file src/a.js", "file src/b.js", "file src/c.js"],
  );
  const [materials] = await dirty.store.referrers(dirty.built.digest, materialsType);
  assert.ok(materials !== undefined);
});

test("`isContextKept()` is true where something was used that no commit has: what git ignores, folders with nothing in them", async () => {
  const project = newProject({
    Dockerfile: "FROM scratch\nCOPY app /app/\n",
    ".gitignore": "generated\nother/\n",
    "app/a.js": "a",
    "other/x": "x",
  });
  assert.equal(only(dependencies((await build(project)).provenance), "context").annotations?.["kept"], false);
  // What a build pins is no change; where it goes into the image it is none that the commit has.
  write(project, { "app/x": "x" });
  git(project, "add", "--all");
  git(project, "commit", "--quiet", "--message", "second");
  write(project, { "bronze.lock": '{"version":1}' });
  assert.equal(only(dependencies((await build(project)).provenance), "context").annotations?.["kept"], false);
  write(project, { Dockerfile: "FROM scratch\nCOPY . /app/\n", ".dockerignore": "other\n" });
  git(project, "add", ".dockerignore");
  git(project, "commit", "--quiet", "--all", "--message", "third");
  assert.equal(only(dependencies((await build(project)).provenance), "context").annotations?.["kept"], true);
  git(project, "add", "bronze.lock");
  git(project, "commit", "--quiet", "--message", "fourth");
  assert.equal(only(dependencies((await build(project)).provenance), "context").annotations?.["kept"], false);
  mkdirSync(join(project, "app/empty"));
  assert.equal(only(dependencies((await build(project)).provenance), "context").annotations?.["kept"], true);
  rmSync(join(project, "app/empty"), { recursive: true });
  write(project, { "app/generated/b.js": "b" });
  const built = await build(project);
  assert.equal(built.provenance.buildDefinition.resolvedDependencies[0]?.annotations?.["dirty"], undefined);
  assert.equal(only(dependencies(built.provenance), "context").annotations?.["kept"], true);
});

test("`makeProvenance()` tells arguments, and of secret ones and of secrets the names only", async () => {
  const project = newProject({
    Dockerfile: "FROM scratch\nARG LEVEL\nARG API_TOKEN\nARG HTTPS_PROXY\nCOPY a /a\n",
    a: "a",
  });
  const { provenance, text } = await build(project, {
    buildArgs: new Map([
      ["LEVEL", "9"],
      ["API_TOKEN", "hush-hush"],
      ["HTTPS_PROXY", "http://user:hush-hush@proxy.example"],
    ]),
    secrets: [{ id: "npmrc", value: Buffer.from("hush-hush-hush") }],
  });
  const { externalParameters } = provenance.buildDefinition;
  assert.deepEqual(externalParameters.buildArguments, { LEVEL: "9" });
  assert.deepEqual(externalParameters.secretBuildArguments, ["API_TOKEN", "HTTPS_PROXY"]);
  assert.deepEqual(externalParameters.secrets, ["npmrc"]);
  assert.ok(!text.includes("hush"));
});

test("`listContext()` keeps symlinks, hard links, modes and empty folders, whatever the folder's order", async () => {
  const project = newFolder();
  write(project, { Dockerfile: "FROM scratch\nCOPY app /app\n", "app/tool": "#!" });
  mkdirSync(join(project, "app/empty"));
  symlinkSync("tool", join(project, "app/link"));
  execFileSync("chmod", ["0755", join(project, "app/tool")]);
  execFileSync("ln", [join(project, "app/tool"), join(project, "app/twin")]);
  const { store, provenance } = await build(project, { sourceEpoch: 5 });
  const [list] = named(dependencies(provenance), "part of the context");
  const rows = readContextList(await store.read(`sha256:${list?.digest?.["sha256"]}` as never));
  assert.ok(typeof rows !== "string");
  assert.deepEqual(
    rows.map((row) => (row[0] === "file" ? [...row.slice(0, 2), row[4]] : row)),
    [
      ["file", "Dockerfile", 0],
      ["directory", "app"],
      ["directory", "app/empty"],
      ["symlink", "app/link", "tool"],
      ["file", "app/tool", 1],
      ["hardlink", "app/twin", "app/tool"],
    ],
  );
});

test("`readContextList()` refuses paths that lead out, and what is no list", () => {
  const list = (...files: readonly unknown[]): Buffer => Buffer.from(JSON.stringify({ version: 1, files }));
  const hex = "0".repeat(64);
  assert.ok(typeof readContextList(list(["file", "a/b", hex, 1, 0])) !== "string");
  for (const row of [
    ["file", "../a", hex, 1, 0],
    ["file", "/a", hex, 1, 0],
    ["file", "a", "zz", 1, 0],
    ["file", "a", hex, -1, 0],
    ["hardlink", "a", "../b"],
    ["directory", "a//b"],
    ["device", "a"],
    "a",
  ])
    assert.equal(typeof readContextList(list(row)), "string", JSON.stringify(row));
  assert.equal(typeof readContextList(Buffer.from("{")), "string");
});

test("`gatherProvenance()` keeps no files and tells no words that look like secrets", async () => {
  const token = `ghp_${randomBytes(18).toString("hex")}`;
  const dockerfile = `FROM scratch AS one\nCOPY . /src\nADD src/a.js /${token}/\nFROM scratch\nCOPY --from=one /src/src/a.js /a\n`;
  const project = newProject({ Dockerfile: dockerfile, "src/a.js": "a" });
  write(project, { "src/token.txt": `${token}\n` });
  const { store, built, provenance, text } = await build(project, { buildArgs: new Map([["LEVEL", token]]) });
  assert.deepEqual(only(dependencies(provenance), "context").annotations, { kept: false, withheld: true });
  assert.deepEqual(named(dependencies(provenance), "part of the context"), []);
  assert.deepEqual(provenance.buildDefinition.externalParameters.secretBuildArguments, ["LEVEL"]);
  assert.ok(!text.includes(token));
  assert.throws(() => planRebuild(provenance), /were not kept/);
  const [materials] = await store.referrers(built.digest, materialsType);
  const kept = parseManifest(await store.read(materials?.digest as never)).layers;
  for (const { digest } of kept) assert.ok(!(await store.read(digest)).includes(token));
  // By its name, whatever is in it.
  rmSync(join(project, "src/token.txt"));
  write(project, { "src/.npmrc": "x" });
  const second = await build(project);
  assert.equal(only(dependencies(second.provenance), "context").annotations?.["withheld"], true);
});
