import assert from "node:assert/strict";
import test from "node:test";
import { simulateMany } from "./simulate-many.ts";

const range = { first: 1, last: 3, jobs: 2, signal: new AbortController().signal };

test("simulateMany() runs each seed of a range once, whatever is broken, and tells each that is", async () => {
  const told: string[] = [];
  const many = await simulateMany({ ...range, bug: "silent-end", say: (line) => told.push(line) });
  assert.equal(many.seeds, 3);
  assert.equal(many.upTo, 3);
  assert.ok(many.broken.length > 0);
  for (const line of many.broken) assert.match(line, /^seed [1-3] breaks ledger-explains: /);
  for (const line of many.broken) assert.ok(told.includes(line), line);
});

test("simulateMany() that is stopped says how far it came", async () => {
  const stopping = new AbortController();
  const running = simulateMany({ ...range, last: 1_000_000, signal: stopping.signal, say: () => {} });
  stopping.abort();
  const { seeds, upTo, broken } = await running;
  assert.deepEqual([seeds, upTo, broken], [0, 0, []]);
});
