import assert from "node:assert/strict";
import test from "node:test";
import { logBounds, logsToRemove } from "./log-bounds.ts";

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
