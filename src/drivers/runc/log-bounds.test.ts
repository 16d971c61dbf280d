import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { logBounds, logsToRemove } from "./log-bounds.ts";
import { removeOldest } from "./log-rotation.ts";

test("logBounds() takes at most a tenth of the disk and 1 GiB, and the last rotated logs of an instance fit into it", () => {
  for (const diskBytes of [2 ** 26, 2 ** 30, 20 * 2 ** 30, 2 ** 42]) {
    const { rotateBytes, totalBytes } = logBounds(diskBytes);
    assert.ok(totalBytes <= Math.min(2 ** 30, diskBytes / 10));
    assert.ok(3 * rotateBytes <= totalBytes, `${diskBytes}`);
  }
  assert.equal(logBounds(2 ** 42).rotateBytes, 10 * 2 ** 20);
});

test("logsToRemove() takes the oldest until the rest fits, and nothing where all fits", () => {
  const log = (path: string, bytes: number, changedMs: number) => ({ path, bytes, changedMs });
  const kept = [log("b", 40, 2), log("c", 30, 3), log("a", 50, 1)];
  assert.deepEqual(logsToRemove(kept, 120), []);
  assert.deepEqual(logsToRemove(kept, 119), ["a"]);
  assert.deepEqual(logsToRemove(kept, 30), ["a", "b"]);
  assert.deepEqual(logsToRemove(kept, 0), ["a", "b", "c"]);
});

test("removeOldest() keeps the last lines of what a running instance rotated last, and removes the rest beyond the bound", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "bronze-logs-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const logs = join(dir, "logs");
  mkdirSync(logs);
  mkdirSync(join(dir, "instances/shop-production-v2-1"), { recursive: true });
  const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`).join("");
  for (const name of ["v2-1.log", "v2-1.log.1", "v2-1.log.2", "v1-1.log"])
    writeFileSync(join(logs, `shop-production-${name}`), lines);
  const folders = { instances: join(dir, "instances"), exits: dir, runtimeRoot: dir, logs, secrets: dir };
  await removeOldest(folders, 1_000);
  assert.deepEqual(readdirSync(logs).sort(), ["shop-production-v2-1.log", "shop-production-v2-1.log.1"]);
  assert.equal(readFileSync(join(logs, "shop-production-v2-1.log"), "utf8"), lines);
  const kept = readFileSync(join(logs, "shop-production-v2-1.log.1"), "utf8");
  assert.ok(kept.length <= 64 * 1024 && lines.endsWith(kept) && kept.startsWith("line "));
});
