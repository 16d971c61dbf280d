import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { createTemporaries } from "../../store/temporary.ts";
import { openMemo as open, type ContentMemo, type Fingerprint } from "./memo.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newPath(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-memo-"));
  folders.push(dir);
  return join(dir, "memos", "one");
}

const openMemo = (path: string): Promise<ContentMemo> => open(path, createTemporaries(join(path, "..", "..", "tmp")));

const file = (number: number): Fingerprint => ({
  path: `dir/\u00ff${number}`,
  ino: number,
  size: 7,
  mtimeMs: 1.5,
  ctimeMs: 1000.25,
});
const content = (number: number): string => Buffer.alloc(32, number & 0xff).toString("latin1");
const later = 1_000_000;

test("`openMemo()` finds what was added before, and nothing for a file that looks different", async () => {
  const path = newPath();
  const memo = await openMemo(path);
  for (let i = 0; i < 1000; i++) memo.add(file(i), content(i), later);
  await memo.save();
  const second = await openMemo(path);
  second.add(file(1000), content(1000), later);
  await second.save();
  const again = await openMemo(path);
  for (let i = 0; i <= 1000; i++) assert.equal(again.find(file(i)), content(i));
  const changes: Partial<Fingerprint>[] = [
    { ino: 8 },
    { size: 8 },
    { mtimeMs: 2 },
    { ctimeMs: 1001.25 },
    { path: "x" },
  ];
  for (const change of changes) assert.equal(again.find({ ...file(7), ...change }), undefined);
});

test("`openMemo()` does not remember a file that changed at about the time of its reading", async () => {
  const path = newPath();
  const memo = await openMemo(path);
  const fine = { ...file(1), ctimeMs: 5000.5 };
  const coarse = { ...file(2), ctimeMs: 5000 };
  memo.add(fine, content(1), 5050);
  memo.add(coarse, content(2), 7000);
  memo.add(file(3), content(3), later);
  await memo.save();
  const again = await openMemo(path);
  assert.deepEqual([again.find(fine), again.find(coarse), again.find(file(3))], [undefined, undefined, content(3)]);
});

test("`openMemo()` takes a damaged file as none, and replaces it", async () => {
  const path = newPath();
  const first = await openMemo(path);
  first.add(file(1), content(1), later);
  first.add(file(2), content(2), later);
  await first.save();
  const whole = readFileSync(path);
  const flipped = Buffer.from(whole);
  flipped.writeUInt8(flipped.readUInt8(40) ^ 1, 40);
  for (const damage of [flipped, Buffer.alloc(0), Buffer.alloc(whole.byteLength), Buffer.concat([whole, whole])]) {
    writeFileSync(path, damage);
    assert.equal((await openMemo(path)).find(file(1)), undefined);
  }
  writeFileSync(path, whole);
  truncateSync(path, whole.byteLength - 48);
  const mended = await openMemo(path);
  assert.equal(mended.find(file(1)), undefined);
  mended.add(file(1), content(1), later);
  await mended.save();
  assert.equal((await openMemo(path)).find(file(1)), content(1));
});
