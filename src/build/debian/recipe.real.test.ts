import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, test, type TestContext } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { readTar } from "../../image/tar-read.ts";
import type { ErrorCode } from "../../errors/codes.ts";
import type { DebianRecipe } from "../../model/definition.ts";
import { createLocalStore } from "../../store/local.ts";
import { buildArtifact } from "../build.ts";
import { readLock } from "../lock-file.ts";
import { lockProject } from "../lock.ts";
import { layerTar } from "../layer/blob.ts";
import type { BuildEvent, BuiltArtifact } from "../options.ts";
import { noRegistry } from "../bases.ts";
import { createTestArchive, type PackageSpec, type TestArchive } from "./archive-fixture.suite.ts";

const folders: string[] = [];
const before = { ...process.env };
// A build brings its cache back to its bounds in the background, and may be at it when its test has ended.
process.on("exit", () => folders.forEach((dir) => rmSync(dir, { recursive: true, force: true })));
afterEach(() => {
  folders.forEach((dir) => rmSync(dir, { recursive: true, force: true }));
  for (const name of ["APT_CONFIG", "no_proxy", "TZ"]) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});
function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-recipe-"));
  folders.push(dir);
  return dir;
}

/** A project whose apt is the test's archive, and two places to build it in. */
interface Place {
  readonly archive: TestArchive;
  readonly project: string;
  readonly events: BuildEvent[];
  cacheDir: string;
  store: ReturnType<typeof createLocalStore>;
  build(packages: readonly string[], change?: Partial<DebianRecipe>): Promise<BuiltArtifact>;
  lock(
    packages: readonly string[],
    update: boolean,
    only?: readonly string[],
    beside?: readonly DebianRecipe[],
  ): Promise<readonly string[]>;
}

const signal = new AbortController().signal;

async function createPlace(t: TestContext): Promise<Place> {
  const archive = await createTestArchive(t);
  Object.assign(process.env, archive.env);
  const project = newFolder();
  writeFileSync(join(project, "server.sh"), "#!/bin/sh\n");
  const place: Place = {
    archive,
    project,
    events: [],
    cacheDir: newFolder(),
    store: createLocalStore(newFolder()),
    build: (packages, change) =>
      buildArtifact(recipe(packages, change), {
        projectDir: project,
        store: place.store,
        cacheDir: place.cacheDir,
        sourceEpoch: 1_800_000_000,
        report: (event) => place.events.push(event),
        signal,
      }),
    lock: async (packages, update, only = [], beside = []) => {
      const options = { projectDir: project, store: place.store, registry: noRegistry, cacheDir: place.cacheDir };
      const report = (): void => undefined;
      const changes = await lockProject(recipe(packages), { ...options, report, signal, update, only, beside });
      return changes.map(({ name, from, to }) => `${name} ${from ?? "-"} ${to ?? "-"}`);
    },
  };
  return place;
}

function recipe(packages: readonly string[], change: Partial<DebianRecipe> = {}): DebianRecipe {
  return {
    kind: "debian",
    suite: "bookworm",
    packages,
    recommends: false,
    full: false,
    architectures: [],
    copy: [{ from: "server.sh", to: "/app/server.sh" }],
    env: {},
    workdir: "/app",
    user: "65532:65532",
    command: ["/app/server.sh"],
    expose: [],
    ...change,
  };
}

async function list(place: Place, built: BuiltArtifact): Promise<readonly string[]> {
  const [layer] = built.layers;
  assert.ok(layer !== undefined);
  const rows: string[] = [];
  for await (const { entry } of readTar(layerTar(place.store, layer)))
    rows.push([entry.kind, entry.path, entry.target].join(" ").trim());
  return rows;
}

async function refuses(work: Promise<unknown>, code: ErrorCode, text: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof OperatorError, String(error));
    const told = [error.message, error.hint, error.cause instanceof Error ? error.cause.message : error.cause].join(
      "\n",
    );
    assert.equal(error.code, code, told);
    assert.match(told, text);
    return true;
  });
}

const library: PackageSpec = {
  name: "libone",
  fields: { Source: "one (1.0-3)" },
  files: { "lib/libone.so.1": "one", "lib/libone.so": "-> libone.so.1", "usr/share/man/man1/one.1": "no" },
};
const tool: PackageSpec = {
  name: "tool",
  fields: { Depends: "libone, debconf", Recommends: "extra" },
  files: { "bin/tool": "tool", "usr/bin/other": "= bin/tool", "etc/tool.conf": "conf", "var/log/tool/.keep": "" },
  scripts: { postinst: "#!/bin/sh\nset -e\nadduser --system tool\nldconfig\n" },
};
const extra: PackageSpec = { name: "extra", files: { "usr/share/extra": "more" } };

test("`buildArtifact()` of a recipe: dependencies, security fixes, one digest, nothing of it twice, and offline from lock and cache", async (t) => {
  const place = await createPlace(t);
  const { archive } = place;
  archive.publish("bookworm", [library, tool, extra]);
  archive.publish("bookworm-security", [{ ...library, version: "1.1" }]);
  const built = await place.build(["tool"]);
  assert.deepEqual(
    built.debian?.packages.map(({ name, version, archive: from, source }) => [
      name,
      version,
      from,
      source.name,
      source.version,
    ]),
    [
      ["libone", "1.1", "debian-security", "one", "1.0-3"],
      ["tool", "1.0", "debian", "tool", "1.0"],
    ],
  );
  assert.deepEqual(built.debian?.skipped, [{ package: "tool", uses: ["adduser"] }]);
  const rows = await list(place, built);
  for (const row of [
    "symlink bin usr/bin",
    "symlink lib usr/lib",
    "file usr/bin/other",
    "hardlink usr/bin/tool usr/bin/other",
    "file usr/lib/libone.so.1",
    "symlink usr/lib/libone.so libone.so.1",
    "file etc/tool.conf",
    "file etc/passwd",
    "file usr/share/doc/tool/copyright",
    "file var/lib/dpkg/status.d/tool",
    "directory var/log/tool",
  ])
    assert.ok(rows.includes(row), `${row} in\n${rows.join("\n")}`);
  for (const path of [
    "usr/share/man",
    "usr/share/doc/tool/README",
    "usr/share/extra",
    "etc/apt",
    "var/lib/dpkg/status",
  ])
    assert.ok(!rows.some((row) => row.endsWith(` ${path}`) || row.includes(` ${path}/`)), path);
  assert.deepEqual(readdirSync(join(place.cacheDir, "tmp")), []);

  const asked = archive.requests.length;
  assert.equal((await place.build(["tool"])).cached, true);
  await archive.stop();
  const umask = process.umask(0o077);
  process.env["TZ"] = "Asia/Tokyo";
  try {
    // Another store, and of the cache the packages only.
    place.store = createLocalStore(newFolder());
    rmSync(join(place.cacheDir, "records"), { recursive: true });
    assert.equal((await place.build(["tool"])).digest, built.digest);
  } finally {
    process.umask(umask);
  }
  assert.equal(archive.requests.length, asked);
});

test("`buildArtifact()` of a recipe keeps pinned versions until they are moved, and says what moved", async (t) => {
  const place = await createPlace(t);
  const { archive } = place;
  archive.publish("bookworm", [library, tool, extra]);
  assert.deepEqual(await place.lock(["tool"], false), ["libone - 1.0", "tool - 1.0"]);
  const pinned = readFileSync(join(place.project, "bronze.lock"), "utf8");
  const first = await place.build(["tool"]);
  archive.publish("bookworm-updates", [
    { ...library, version: "1.2" },
    { ...tool, version: "2.0" },
  ]);
  assert.deepEqual(await place.lock(["tool"], false), []);
  assert.equal((await place.build(["tool"])).digest, first.digest);
  assert.equal(readFileSync(join(place.project, "bronze.lock"), "utf8"), pinned);
  // A recipe that grows takes what it had with it.
  const grown = await place.build(["extra", "tool"]);
  assert.deepEqual(
    grown.debian?.packages.map(({ name, version }) => `${name} ${version}`),
    ["extra 1.0", "libone 1.0", "tool 1.0"],
  );
  assert.deepEqual(await place.lock(["extra", "tool"], true, ["tool"]), ["tool 1.0 2.0"]);
  assert.deepEqual(await place.lock(["extra", "tool"], true), ["libone 1.0 1.2"]);
  assert.doesNotMatch(readFileSync(join(place.project, "bronze.lock"), "utf8"), /amd64: tool"|arm64: tool"/);
  await refuses(place.lock(["tool"], true, ["stranger"]), "NOT_FOUND", /stranger/);
  assert.deepEqual(
    (await place.build(["tool"], { recommends: true })).debian?.packages.map(({ name }) => name),
    ["extra", "libone", "tool"],
  );
});

test("`buildArtifact()` of a recipe refuses an InRelease, an index and a package that were tampered with", async (t) => {
  const place = await createPlace(t);
  const { archive } = place;
  const files = [
    archive.path("debian/dists/bookworm/InRelease"),
    archive.path(`debian/dists/bookworm/main/binary-${process.arch === "x64" ? "amd64" : process.arch}/Packages`),
  ];
  for (const [file, change] of [
    [files[0], (text: string) => text.replace("Label: Debian", "Label: Debiam")],
    [files[1], (text: string) => text.replace("Version: 1.0", "Version: 9.0")],
  ] as const) {
    archive.publish("bookworm", [library, tool]);
    assert.ok(file !== undefined);
    const text = readFileSync(file, "utf8");
    assert.notEqual(change(text), text);
    writeFileSync(file, change(text));
    await refuses(
      place.build(["tool"]),
      "VERIFICATION_FAILED",
      /127\.0\.0\.1.*not what was signed[\s\S]*(BADSIG|Hash Sum mismatch|unexpected size)/,
    );
  }
  archive.publish("bookworm", [library, tool]);
  const deb = readFileSync(archive.deb("tool"));
  deb.writeUInt8(deb.readUInt8(deb.byteLength - 40) ^ 1, deb.byteLength - 40);
  writeFileSync(archive.deb("tool"), deb);
  await refuses(
    place.build(["tool"]),
    "VERIFICATION_FAILED",
    /tool 1\.0.*not those that bronze\.lock pins[\s\S]*Hash Sum mismatch/,
  );
  assert.deepEqual(readdirSync(join(place.cacheDir, "debs/partial")), []);
  assert.equal(readdirSync(join(place.cacheDir, "debs")).filter((name) => name.endsWith(".deb")).length, 1);
});

test("`lockProject()` of one of several recipes in a folder leaves what the others pin", async (t) => {
  const place = await createPlace(t);
  const { archive } = place;
  archive.publish("bookworm", [library, tool, extra]);
  await place.lock(["tool"], false);
  await place.lock(["extra"], false);
  archive.publish("bookworm-updates", [{ ...tool, version: "2.0" }]);
  const text = (): string => readFileSync(join(place.project, "bronze.lock"), "utf8");
  await place.lock(["tool"], true, [], [recipe(["extra"])]);
  assert.match(text(), /: extra"/);
  archive.publish("bookworm-updates", [{ ...tool, version: "3.0" }]);
  await place.lock(["tool"], true);
  assert.doesNotMatch(text(), /: extra"/);
});

test("`buildArtifact()` of a recipe says when a mirror has a pinned version no more, and mends a damaged cache", async (t) => {
  const place = await createPlace(t);
  const { archive } = place;
  archive.publish("bookworm", [library, tool]);
  await place.lock(["tool"], false);
  const deb = readFileSync(archive.deb("tool"));
  rmSync(archive.deb("tool"));
  await refuses(
    place.build(["tool"]),
    "BUILD_FAILED",
    /tool 1\.0.*this version no more[\s\S]*bronze lock --update[\s\S]*snapshot\.debian\.org\/archive\/debian\/20240301T120000Z\//,
  );
  writeFileSync(archive.deb("tool"), deb);
  const built = await place.build(["tool"]);
  const debs = join(place.cacheDir, "debs");
  const names = readdirSync(debs).filter((name) => name.endsWith(".deb"));
  for (const damage of [(file: string) => truncateSync(file, 100), (file: string) => appendFileSync(file, "x")]) {
    for (const name of names) damage(join(debs, name));
    rmSync(join(place.cacheDir, "records"), { recursive: true });
    assert.equal((await place.build(["tool"])).digest, built.digest);
  }
  for (const name of names) {
    const bytes = readFileSync(join(debs, name));
    bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200);
    writeFileSync(join(debs, name), bytes);
  }
  rmSync(join(place.cacheDir, "records"), { recursive: true });
  assert.equal((await place.build(["tool"])).digest, built.digest);
});

test("`buildArtifact()` of a recipe goes on with what a killed build had fetched, and several at once pin the same", async (t) => {
  const place = await createPlace(t);
  const { archive } = place;
  const noise = randomBytes(200_000).toString("base64");
  archive.publish("bookworm", [library, { ...tool, files: { "usr/share/noise": noise } }]);
  await place.lock(["tool"], false);
  const deb = readFileSync(archive.deb("tool"));
  const sha256 = createHash("sha256").update(deb).digest("hex");
  // As a process of another boot left it.
  const left = join(place.cacheDir, "debs/partial/1-0-0123456789abcdef/files");
  mkdirSync(left, { recursive: true });
  writeFileSync(join(left, `${sha256}.deb`), deb.subarray(0, 100_000));
  utimesSync(join(left, `${sha256}.deb`), 1_709_251_200, 1_709_251_200);
  await place.build(["tool"]);
  assert.deepEqual(
    archive.resumed.map((path) => basename(path)),
    [basename(archive.deb("tool"))],
  );
  assert.deepEqual(readdirSync(join(place.cacheDir, "debs/partial")), []);

  rmSync(join(place.project, "bronze.lock"));
  rmSync(place.cacheDir, { recursive: true });
  const digests = await Promise.all([1, 2, 3].map(async () => (await place.build(["tool"])).digest));
  assert.equal(new Set(digests).size, 1);
  assert.equal(Object.keys((await readLock(place.project)).debian).length, 1);
});

test("`buildArtifact()` of a recipe refuses packages with the same file, what is not there and what is no package", async (t) => {
  const place = await createPlace(t);
  const { archive } = place;
  const rival: PackageSpec = { name: "rival", files: { "usr/bin/tool": "mine" } };
  archive.publish("bookworm", [
    library,
    tool,
    rival,
    { ...rival, name: "heir", fields: { Replaces: "tool" } },
    { name: "garbage", bytes: randomBytes(5000) },
    { name: "cut", bytes: Buffer.from("!<arch>\ndebian-binary   0           0     0     100644  99999     `\n2.0\n") },
  ]);
  for (const name of ["garbage", "cut"])
    await refuses(
      place.build([name, "tool"]),
      "VERIFICATION_FAILED",
      new RegExp(`${name} 1\\.0: it is no Debian package`),
    );
  await refuses(place.build(["rival", "tool"]), "BUILD_FAILED", /rival and tool.*"\/usr\/bin\/tool"/);
  const rows = await list(place, await place.build(["heir", "libone"], { packages: ["heir", "tool"] }));
  assert.ok(rows.includes("file usr/bin/tool"));
  await refuses(place.build(["absent"]), "BUILD_FAILED", /Unable to locate package absent/);
  await refuses(place.build(["tool"], { architectures: ["s390x"] }), "BUILD_FAILED", /s390x/);
  writeFileSync(
    join(place.project, "bronze.lock"),
    '{"version":1,"debian":{"bookworm/amd64: tool":{"packages":{"../x":{}}},"bookworm/arm64: tool":{"packages":{"../x":{}}}}}',
  );
  await refuses(place.build(["tool"]), "DEFINITION_INVALID", /bronze\.lock/);
});
