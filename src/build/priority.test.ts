import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { getPriority } from "node:os";
import test from "node:test";
import { givingWay } from "./priority.ts";

test("givingWay() lowers the priority of work and of what it starts, and puts it back", async () => {
  const before = getPriority();
  const inside = await givingWay(async () => [getPriority(), Number(execFileSync("nice", { encoding: "utf8" }))]);
  assert.deepEqual(inside, [Math.max(before, 10), Math.max(before, 10)]);
  await assert.rejects(givingWay(() => Promise.reject(new Error("failed"))));
  if (process.getuid?.() === 0) assert.equal(getPriority(), before);
});
