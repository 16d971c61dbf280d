import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { readTar } from "../image/tar-read.ts";
import { createLocalStore } from "../store/local.ts";
import { layerTar } from "./layer/blob.ts";
import { buildArtifact } from "./build.ts";
import type { BuiltArtifact } from "./options.ts";
import { readImage } from "./image-state.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-build-"));
  folders.push(dir);
  return dir;
}

function newProject(dockerfile: string): string {
  const dir = newFolder();
  mkdirSync(join(dir, "sub dir"));
  writeFileSync(join(dir, "server.js"), "serve()\n");
  writeFileSync(join(dir, "run.sh"), "#!\n");
  chmodSync(join(dir, "run.sh"), 0o755);
  writeFileSync(join(dir, "sub dir", "naïve\nname"), "odd\n");
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])]), "no UTF-8");
  symlinkSync("../server.js", join(dir, "sub dir", "link"));
  linkSync(join(dir, "server.js"), join(dir, "twin.js"));
  writeFileSync(join(dir, "Dockerfile"), dockerfile);
  return dir;
}

const store = (): ReturnType<typeof createLocalStore> => createLocalStore(newFolder());
type TestStore = ReturnType<typeof store>;

function build(projectDir: string, into: TestStore, cacheDir = newFolder(), tagAs?: string): Promise<BuiltArtifact> {
  return buildArtifact(
    { kind: "dockerfile", path: "Dockerfile" },
    {
      projectDir,
      store: into,
      cacheDir,
      sourceEpoch: 1_700_000_000,
      report: () => undefined,
      signal: new AbortController().signal,
      ...(tagAs === undefined ? {} : { tagAs }),
    },
  );
}

async function layersOf(building: Promise<BuiltArtifact>): Promise<readonly string[]> {
  return (await building).layers.map((layer) => layer.digest);
}

async function list(into: TestStore, built: BuiltArtifact): Promise<string[]> {
  const rows: string[] = [];
  for (const layer of built.layers) {
    for await (const { entry } of readTar(layerTar(into, layer)))
      rows.push([entry.kind, entry.path, entry.mode.toString(8), entry.uid, entry.gid, entry.target].join(" ").trim());
  }
  return rows;
}

test("`buildArtifact()` gives one digest whatever the modes of the checkout, times, umask, zone and folder", async () => {
  const dockerfile = 'FROM scratch\nWORKDIR /app\nCOPY . .\nCMD ["/app/run.sh"]\n';
  const digests = new Set<string>();
  const before = { umask: process.umask(), zone: process.env["TZ"], folder: process.cwd() };
  try {
    for (const [umask, zone, time] of [
      [0o022, "UTC", 5],
      [0o077, "Asia/Tokyo", 2_000_000_000],
      [0o002, "America/New_York", 1_600_000_000],
    ] as const) {
      process.umask(umask);
      process.env["TZ"] = zone;
      const project = newProject(dockerfile);
      process.chdir(project);
      utimesSync(join(project, "server.js"), time, time);
      digests.add((await build(project, store())).digest);
    }
  } finally {
    process.umask(before.umask);
    if (before.zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = before.zone;
    process.chdir(before.folder);
  }
  assert.equal(digests.size, 1);
});

test("`buildArtifact()` carries symlinks, hard links, modes and odd names over", async () => {
  const into = store();
  const rows = await list(into, await build(newProject("FROM scratch\nCOPY --chown=7:8 . /app/\n"), into));
  const odd = Buffer.from("naïve\nname").toString("latin1");
  assert.deepEqual(rows, [
    "directory app 755 7 8",
    "file app/Dockerfile 644 7 8",
    "file app/run.sh 755 7 8",
    "file app/server.js 644 7 8",
    "directory app/sub dir 755 7 8",
    "symlink app/sub dir/link 777 7 8 ../server.js",
    `file app/sub dir/${odd} 644 7 8`,
    "hardlink app/twin.js 644 7 8 app/server.js",
    "file app/\u00ff\u00fe 644 7 8",
  ]);
});

test("`buildArtifact()` keeps folders and follows symlinks of the layers below", async () => {
  const into = store();
  const base = newProject("FROM scratch\nCOPY root/ /\n");
  mkdirSync(join(base, "root", "usr", "bin"), { recursive: true });
  symlinkSync("usr/bin", join(base, "root", "bin"));
  await build(base, into, undefined, "base:latest");
  const built = await build(newProject("FROM base\nCOPY run.sh /bin/\nCOPY server.js /bin\n"), into);
  const rows = await list(into, built);
  assert.deepEqual(rows.slice(3), [
    "directory usr 755 0 0",
    "directory usr/bin 755 0 0",
    "file usr/bin/run.sh 755 0 0",
    "directory usr 755 0 0",
    "directory usr/bin 755 0 0",
    "file usr/bin/server.js 644 0 0",
  ]);
});

test("`buildArtifact()` changes one small layer for a change in one COPY, and none for none", async () => {
  const into = store();
  const cache = newFolder();
  const project = newProject("FROM scratch\nCOPY run.sh /run.sh\nCOPY server.js /server.js\n");
  const first = await build(project, into, cache);
  assert.equal(first.cached, false);
  const second = await build(project, into, cache);
  assert.deepEqual([second.digest, second.cached], [first.digest, true]);
  writeFileSync(join(project, "server.js"), "serve2()");
  const third = await build(project, into, cache);
  assert.equal(third.layers[0]?.digest, first.layers[0]?.digest);
  assert.notEqual(third.layers[1]?.digest, first.layers[1]?.digest);
});

test("`buildArtifact()` finds the layer again after a touch and from another checkout, and never for another content", async () => {
  const into = store();
  const cache = newFolder();
  const dockerfile = "FROM scratch\nCOPY . /app/\n";
  const project = newProject(dockerfile);
  const first = await build(project, into, cache);
  utimesSync(join(project, "server.js"), 5, 5);
  assert.deepEqual(await layersOf(build(project, into, cache)), [first.layers[0]?.digest]);
  const clone = newProject(dockerfile);
  assert.deepEqual((await build(clone, into, cache)).cached, true);
  // The same size and time, in the same moment.
  writeFileSync(join(clone, "server.js"), "serve!)\n");
  utimesSync(join(clone, "server.js"), 5, 5);
  const changed = await build(clone, into, cache);
  assert.notEqual(changed.layers[0]?.digest, first.layers[0]?.digest);
  chmodSync(join(clone, "server.js"), 0o755);
  assert.notDeepEqual(await layersOf(build(clone, into, cache)), [changed.layers[0]?.digest]);
});

test("`buildArtifact()` puts what the Dockerfile says into the config", async () => {
  const into = store();
  const project = newProject(
    'ARG V=1\nFROM scratch\nARG V\nENV A=$V B="x y"\nWORKDIR /srv\nWORKDIR app\nLABEL v=${V}\nUSER web:staff\nEXPOSE 8080 53/udp\nSTOPSIGNAL SIGINT\nENTRYPOINT ["/run.sh"]\nCMD echo $A\nCOPY run.sh /\n',
  );
  const built = await build(project, into);
  assert.deepEqual(built.config, {
    exposedPorts: [8080],
    user: "web:staff",
    cmd: ["/bin/sh", "-c", "echo $A"],
    entrypoint: ["/run.sh"],
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=x y"],
    workdir: "/srv/app",
    health: null,
    volumes: [],
  });
  const { image } = await readImage(into, built.digest);
  assert.deepEqual(
    [image.config.StopSignal, image.config.Labels, image.created],
    ["SIGINT", { v: "1" }, "2023-11-14T22:13:20Z"],
  );
  assert.equal(image.history.filter((entry) => entry.empty_layer !== true).length, image.diffIds.length);
});

test("`buildArtifact()` refuses a socket by name where a COPY takes it, and what leads out of the project", async () => {
  const project = newProject("FROM scratch\nCOPY . /\n");
  const server = createServer().listen(join(project, "talk.sock"));
  try {
    await assert.rejects(
      build(project, store()),
      (error) =>
        error instanceof OperatorError &&
        error.code === "BUILD_FAILED" &&
        error.message.includes('"talk.sock"') &&
        error.message.includes("line 2"),
    );
    writeFileSync(join(project, "Dockerfile"), "FROM scratch\nCOPY *.js /\n");
    await build(project, store());
  } finally {
    server.close();
  }
  for (const source of ["../x", "out", "absent", "*.absent"]) {
    const other = newProject(`FROM scratch\nCOPY ${source} /x\n`);
    symlinkSync("/etc/passwd", join(other, "out"));
    await assert.rejects(
      build(other, store()),
      (error) => error instanceof OperatorError && error.code === "BUILD_FAILED",
      source,
    );
  }
});

test("`buildArtifact()` dates by the commit, names it, and marks a dirty tree", async () => {
  const into = store();
  const project = newProject("FROM scratch\nCOPY server.js /\n");
  const git = (...args: string[]): void => {
    execFileSync("git", ["-C", project, "-c", "user.name=t", "-c", "user.email=t@example.org", ...args], {
      env: { ...process.env, GIT_COMMITTER_DATE: "1600000000 +0000" },
      stdio: "ignore",
    });
  };
  git("init");
  git("add", "server.js", "Dockerfile");
  rmSync(join(project, "sub dir"), { recursive: true });
  rmSync(join(project, "twin.js"));
  rmSync(join(project, "run.sh"));
  rmSync(Buffer.concat([Buffer.from(`${project}/`), Buffer.from([0xff, 0xfe])]));
  git("commit", "-m", "x");
  const options = {
    projectDir: project,
    store: into,
    cacheDir: newFolder(),
    report: () => undefined,
    signal: new AbortController().signal,
  };
  const clean = await buildArtifact({ kind: "dockerfile", path: "Dockerfile" }, options);
  assert.deepEqual(clean.warnings, []);
  const { manifest, image } = await readImage(into, clean.digest);
  assert.equal(image.created, "2020-09-13T12:26:40Z");
  assert.equal(manifest.annotations["org.opencontainers.image.revision"], clean.commit);
  writeFileSync(join(project, "server.js"), "changed");
  const dirty = await buildArtifact({ kind: "dockerfile", path: "Dockerfile" }, options);
  assert.equal(dirty.warnings.length, 1);
  assert.equal((await readImage(into, dirty.digest)).manifest.annotations["bronze.source.dirty"], "true");
});
