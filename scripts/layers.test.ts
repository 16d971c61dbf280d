import assert from "node:assert/strict";
import { test } from "node:test";
import { findOffences } from "./layers.ts";

function offencesIn(file: string, text: string): readonly string[] {
  return findOffences(new Map([[file, text]])).map((offence) => offence.text);
}

test("findOffences() prints the path of an import that goes up the layers", () => {
  assert.deepEqual(offencesIn("model/x.ts", 'import { y } from "../rollout/y.ts";'), [
    "src/model/x.ts → src/rollout/y.ts: src/model/ may import only errors",
  ]);
  assert.equal(offencesIn("controller/x.ts", 'import { y } from "../drivers/runc/y.ts";').length, 1);
  assert.equal(offencesIn("controller/x.ts", 'const y = await import("../drivers/runc/y.ts");').length, 1);
  assert.deepEqual(offencesIn("daemon/x.ts", 'import { y } from "../drivers/runc/y.ts";'), []);
});

test("findOffences() keeps drivers apart", () => {
  assert.equal(offencesIn("drivers/runc/x.ts", 'import { y } from "../haproxy/y.ts";').length, 1);
  assert.deepEqual(offencesIn("drivers/runc/x.ts", 'import { y } from "./y.ts";'), []);
});

test("findOffences() forbids clocks, timers, randomness and I/O where decisions are made, but not in tests", () => {
  assert.equal(offencesIn("rollout/x.ts", "const now = Date.now();").length, 1);
  assert.equal(offencesIn("controller/x.ts", "setTimeout(f, 1);").length, 1);
  assert.equal(offencesIn("ledger/x.ts", 'import { readFileSync } from "node:fs";').length, 1);
  assert.equal(offencesIn("image/x.ts", "const id = randomUUID();").length, 1);
  assert.deepEqual(offencesIn("rollout/x.test.ts", "const now = Date.now();"), []);
  assert.deepEqual(offencesIn("drivers/runc/x.ts", "const now = Date.now();"), []);
  assert.deepEqual(offencesIn("rollout/x.ts", "// not Date.now()"), []);
});
