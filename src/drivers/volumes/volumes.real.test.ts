import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { allAbandoned } from "./layout.ts";
import { parseAppName, parseEnvironmentName } from "../../model/names.ts";
import { volumesSuite, volumeOwner } from "../../ports/volumes.suite.ts";
import { hiddenNames, loopDisk, textOf, volumeBench, type Disk } from "./fixture.suite.ts";
import { removeTree } from "./copy.ts";

const signal = new AbortController().signal;
const data = { app: parseAppName("shop"), environment: parseEnvironmentName("production"), name: "data" };
const kinds: readonly Disk[] = ["btrfs", "xfs", "ext4"];
const ways = { btrfs: "subvolume", xfs: "reflink", ext4: "copy" } as const;

for (const kind of kinds) {
  const disk = loopDisk(kind);
  after(() => disk.end());
  volumesSuite(`volumes on ${kind}`, () => volumeBench(disk), { bounds: false });

  test(`volumes on ${kind}: what an app has there comes back with owner, mode, links, times and holes`, async () => {
    const bench = await volumeBench(disk);
    try {
      const { path, way } = await bench.store.ensure(data, volumeOwner);
      assert.equal(way, ways[kind]);
      const top = statSync(path);
      assert.deepEqual([top.uid, top.gid, top.mode & 0o7777], [1000, 1001, 0o750]);
      mkdirSync(join(path, "-folder"), { mode: 0o2770 });
      writeFileSync(join(path, "-folder/a"), "x");
      execFileSync("chown", ["123:456", join(path, "-folder/a")]);
      chmodSync(join(path, "-folder/a"), 0o4711);
      linkSync(join(path, "-folder/a"), join(path, "hard"));
      symlinkSync("/etc/passwd", join(path, "soft"));
      execFileSync("mkfifo", [join(path, "fifo")]);
      execFileSync("truncate", ["-s", "64M", join(path, "hole")]);
      execFileSync("touch", ["-d", "2001-02-03", join(path, "hard")]);
      await bench.store.snapshot(data, "s", null, { signal });
      const restored = await bench.store.restore(data, "s", "again", { signal });
      const a = lstatSync(join(restored.path, "-folder/a"));
      assert.deepEqual([a.uid, a.gid, a.mode & 0o7777, a.nlink], [123, 456, 0o4711, 2]);
      assert.equal(new Date(a.mtimeMs).getFullYear(), 2001);
      assert.equal(lstatSync(join(restored.path, "hard")).ino, a.ino);
      assert.ok(lstatSync(join(restored.path, "soft")).isSymbolicLink());
      assert.ok(lstatSync(join(restored.path, "fifo")).isFIFO());
      assert.ok(statSync(join(restored.path, "hole")).blocks < 100);
      const again = statSync(restored.path);
      assert.deepEqual([again.uid, again.gid, again.mode & 0o7777], [1000, 1001, 0o750]);
      await bench.store.ensure(data, { uid: 7, gid: 7, mode: 0o700 });
      assert.equal(statSync(path).uid, 1000, "what holds something keeps its owner");
    } finally {
      await bench.end();
    }
  });

  test(`volumes on ${kind}: not even root changes a snapshot`, async () => {
    const bench = await volumeBench(disk);
    try {
      await bench.store.ensure(data, volumeOwner);
      await bench.write(data, "folder/a", "1");
      await bench.store.snapshot(data, "s", null, { signal });
      const frozen = join(bench.folder, "shop/production/data/snapshots/s/data");
      const refused = { code: kind === "btrfs" ? "EROFS" : "EPERM" };
      assert.throws(() => writeFileSync(join(frozen, "folder/a"), "2"), refused);
      assert.throws(() => writeFileSync(join(frozen, "folder/b"), "2"), refused);
      assert.throws(() => unlinkSync(join(frozen, "folder/a")), refused);
      assert.throws(() => renameSync(join(frozen, "folder"), join(frozen, "other")), refused);
      assert.equal(textOf(join(frozen, "folder/a")), "1");
    } finally {
      await bench.end();
    }
  });

  test(`volumes on ${kind}: what a killed process left half-made is never whole, and goes at the next use`, async () => {
    const bench = await volumeBench(disk);
    try {
      await bench.store.ensure(data, volumeOwner);
      await bench.write(data, "a", "1");
      const snapshots = join(bench.folder, "shop/production/data/snapshots");
      const half = join(snapshots, ".making-1-1-00ff");
      await bench.store.snapshot(data, "s", null, { signal });
      // The process that made it had this number, and is gone.
      renameSync(join(snapshots, "s"), half);
      assert.deepEqual(allAbandoned(bench.folder), [half]);
      assert.deepEqual((await bench.reopen().list())[0]?.snapshots, []);
      await bench.reopen().snapshot(data, "t", null, { signal });
      assert.deepEqual(hiddenNames(bench.folder), []);
      const volume = join(bench.folder, "shop/production");
      renameSync(join(volume, "data"), join(volume, ".removing-1-1-00ff"));
      assert.deepEqual(await bench.reopen().list(), []);
      await bench.reopen().ensure({ ...data, name: "other" }, volumeOwner);
      assert.deepEqual(hiddenNames(bench.folder), []);
    } finally {
      await bench.end();
    }
  });
}

test("volumes that are copied: a full disk is told before it is full, and leaves nothing half-made", async () => {
  const disk = loopDisk("ext4", 64);
  const bench = await volumeBench(disk);
  try {
    const { path } = await bench.store.ensure(data, volumeOwner);
    const { bavail, bsize } = statfsSync(disk.path);
    const mebibytes = Math.floor((bavail * bsize * 0.6) / 2 ** 20);
    execFileSync("dd", ["if=/dev/zero", `of=${join(path, "big")}`, "bs=1M", `count=${mebibytes}`, "status=none"]);
    await assert.rejects(bench.store.snapshot(data, "s", null, { signal }), { code: "DISK_FULL" });
    assert.deepEqual((await bench.store.list())[0]?.snapshots, []);
    assert.deepEqual(hiddenNames(bench.folder), []);
    assert.equal(statSync(join(path, "big")).size, mebibytes * 2 ** 20);
  } finally {
    await bench.end();
    disk.end();
  }
});

test("volumes on btrfs: one that was moved there as a plain folder is copied, frozen and removed like any other", async () => {
  const disk = loopDisk("btrfs", 128);
  const bench = await volumeBench(disk);
  try {
    const { path } = await bench.store.ensure(data, volumeOwner);
    await bench.write(data, "a", "1");
    execFileSync("sh", ["-c", 'cp -a "$1" "$1.moved" && rm -r "$1" && mv "$1.moved" "$1"', "sh", path]);
    assert.equal((await bench.store.list())[0]?.way, "reflink");
    await bench.store.snapshot(data, "s", null, { signal });
    await bench.write(data, "a", "2");
    assert.equal(await bench.read(data, "a", "s"), "1");
    assert.equal((await bench.store.restore(data, "s", "again", { signal })).way, "reflink");
    await bench.store.remove(data, "s");
    await bench.store.remove(data, null);
    assert.deepEqual(hiddenNames(bench.folder), []);
  } finally {
    await bench.end();
    disk.end();
  }
});

test("volumes on btrfs: subvolumes that an app made inside of its own go with it", async () => {
  const disk = loopDisk("btrfs");
  const bench = await volumeBench(disk);
  try {
    const { path } = await bench.store.ensure(data, volumeOwner);
    execFileSync("btrfs", ["-q", "subvolume", "create", join(path, "inner")]);
    writeFileSync(join(path, "inner/a"), "1");
    await bench.store.remove(data, null);
    assert.deepEqual(await bench.store.list(), []);
    assert.deepEqual(hiddenNames(bench.folder), []);
  } finally {
    await bench.end();
    disk.end();
  }
});

test("a link that an app puts into a folder's place while it is copied leads nowhere", async () => {
  const disk = loopDisk("xfs");
  const bench = await volumeBench(disk);
  // Changes places of a folder and a link to the machine's own, for as long as it is let.
  const swap = `$a = shift; while (1) { rename("$a/folder", "$a/other"); symlink("/etc", "$a/folder"); unlink("$a/folder"); rename("$a/other", "$a/folder") }`;
  try {
    const { path } = await bench.store.ensure(data, volumeOwner);
    for (let i = 0; i < 200; i += 1) await bench.write(data, `folder/file${i}`, "mine");
    writeFileSync(join(path, "folder/passwd"), "mine");
    const app = spawn("perl", ["-e", swap, path], { stdio: "ignore" });
    try {
      for (let i = 0; i < 8; i += 1) await bench.store.snapshot(data, `s${i}`, null, { signal });
    } finally {
      app.kill("SIGKILL");
    }
    const found = spawnSync("grep", ["-rls", "--", "root:x:0:0", join(path, "../snapshots")], { encoding: "utf8" });
    assert.equal(found.stdout, "");
  } finally {
    await bench.end();
    disk.end();
  }
});

test("a copy ends with the process that asked for it", async () => {
  const disk = loopDisk("ext4");
  try {
    const from = join(disk.path, `from-${process.pid}`);
    mkdirSync(from);
    execFileSync("dd", ["if=/dev/zero", `of=${join(from, "big")}`, "bs=1M", "count=100", "status=none"]);
    const source = `
      const { copyTree } = await import(${JSON.stringify(join(import.meta.dirname, "copy.ts"))});
      await copyTree(${JSON.stringify(from)}, ${JSON.stringify(join(disk.path, "to"))}, "copy", false, { signal: new AbortController().signal });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", source], { stdio: "ignore" });
    const copying = (): string =>
      spawnSync("pgrep", ["-f", `cp --archive .*from-${process.pid}/`], { encoding: "utf8" }).stdout.trim();
    for (let tries = 0; copying() === "" && tries < 500; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGKILL");
    for (let tries = 0; copying() !== "" && tries < 500; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(copying(), "");
    await removeTree(join(disk.path, "to"));
  } finally {
    disk.end();
  }
});
