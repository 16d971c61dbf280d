import assert from "node:assert/strict";
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, test } from "node:test";
import { openBuildCache } from "../cache.ts";
import { measureCache, sweepCache } from "./sweep.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-cache-"));
  folders.push(dir);
  return dir;
}

const hex = (number: number): string => String(number).padStart(64, "0");
const kilobytes = 100;

/** An entry that was last used so many seconds ago. */
function put(dir: string, path: string, secondsAgo: number): string {
  const file = join(dir, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, Buffer.alloc(kilobytes * 1024, 1));
  used(file, secondsAgo);
  return file;
}

function used(path: string, secondsAgo: number): void {
  const time = Date.now() / 1000 - secondsAgo;
  utimesSync(path, time, time);
}

test("`sweepCache()` removes what was not used for longest, of every kind, until the cache is within its bounds", async () => {
  const dir = newFolder();
  const old = [put(dir, `blobs/sha256/${hex(1)}`, 500), put(dir, `records/layers/${hex(2)}.json`, 400)];
  put(dir, `layers/${hex(3)}/usr/lib/file`, 900);
  used(join(dir, `layers/${hex(3)}`), 300);
  const kept = [put(dir, `debs/${hex(4)}.deb`, 200), put(dir, `memos/${hex(5)}`, 100)];
  put(dir, "mounts/npm/file", 900);
  used(join(dir, "mounts/npm"), 50);
  const before = await measureCache(dir, 350 * 1024);
  assert.equal(before.entries, 6);
  assert.ok(before.bytes >= 600 * 1024 && before.bytes < 650 * 1024, String(before.bytes));
  const after = await sweepCache(dir, 350 * 1024);
  assert.ok(after.bytes <= 350 * 1024, String(after.bytes));
  assert.deepEqual(
    [...old, join(dir, `layers/${hex(3)}`)].filter((path) => existsSync(path)),
    [],
  );
  assert.ok([...kept, join(dir, "mounts/npm/file")].every((path) => existsSync(path)));
  assert.deepEqual(readdirSync(join(dir, "tmp")), []);
  assert.equal((await sweepCache(dir, 350 * 1024)).bytes, after.bytes);
});

test("`sweepCache()` keeps what a build under way has used, and what one that was killed had used no longer", async () => {
  const dir = newFolder();
  const build = await openBuildCache(dir);
  const [registration = ""] = readdirSync(join(dir, "builds"));
  used(join(dir, "builds", registration), 60);
  const inUse = put(dir, `blobs/sha256/${hex(1)}`, 30);
  const before = put(dir, `blobs/sha256/${hex(2)}`, 90);
  await sweepCache(dir, 1);
  assert.deepEqual([existsSync(inUse), existsSync(before)], [true, false]);
  await build.close(0);
  writeFileSync(join(dir, "builds", "4999999-1-aa"), "");
  await sweepCache(dir, 1);
  assert.equal(existsSync(inUse), false);
});

test("`sweepCache()` does not count what the store has too", async () => {
  const dir = newFolder();
  linkSync(put(dir, `blobs/sha256/${hex(1)}`, 5), join(newFolder(), "in the store"));
  assert.deepEqual(await measureCache(dir, 1000), { bytes: 0, entries: 1, capacityBytes: 1000 });
});

test("`sweepCache()` leaves a cache removed that was removed", async () => {
  const dir = join(newFolder(), "cache");
  await assert.rejects(sweepCache(dir, 1000));
  assert.equal(existsSync(dir), false);
});

test("`measureCache()` tells the bounds of a cache that is not there yet", async () => {
  const use = await measureCache(join(newFolder(), "not", "there"));
  assert.equal(use.bytes, 0);
  assert.ok(use.capacityBytes > 0 && use.capacityBytes <= 20e9);
});

test("`openBuildCache()` removes what killed builds left half-made", async () => {
  const dir = newFolder();
  put(dir, "tmp/4999999-1-aa", 5);
  put(dir, "tmp/4999999-1-bb/below/file", 5);
  put(dir, "builds/4999999-1-cc", 5);
  const cache = await openBuildCache(dir);
  assert.deepEqual(readdirSync(join(dir, "tmp")), []);
  assert.equal(readdirSync(join(dir, "builds")).length, 1);
  await cache.close(0);
  assert.deepEqual(readdirSync(join(dir, "builds")), []);
});

test("`openBuildCache()` takes damaged records as none, and with `fresh` those of earlier builds", async () => {
  const dir = newFolder();
  const first = await openBuildCache(dir);
  await first.write("room", { a: 1 }, { digest: "x" });
  await first.write("room", { a: 2 }, { digest: "y" });
  assert.deepEqual(await first.read("room", { a: 1 }), { digest: "x" });
  const fresh = await openBuildCache(dir, { fresh: true });
  assert.equal(await fresh.read("room", { a: 1 }), undefined);
  await fresh.write("room", { a: 1 }, { digest: "z" });
  assert.deepEqual(await fresh.read("room", { a: 1 }), { digest: "z" });
  assert.deepEqual(await first.read("room", { a: 1 }), { digest: "z" });
  for (const name of readdirSync(join(dir, "records/room"))) writeFileSync(join(dir, "records/room", name), '{"dig');
  assert.equal(await first.read("room", { a: 2 }), undefined);
});
