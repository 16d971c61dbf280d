import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { defaultAnalysis } from "../model/analysis.ts";
import { strategyKinds, strategyNamed, type Strategy } from "../model/strategy.ts";
import { planAhead } from "./plan-ahead.ts";

/** `step: coming + live, share, hold` */
function told(strategy: Strategy, desired: number, live: number): readonly string[] {
  return planAhead(strategy, desired, live).map(
    ({ step, coming, live: old, weight, holdMs, analyse }) =>
      `${step ?? "switch"}: ${coming} + ${old}, ${weight / 100} %, ${holdMs ?? "person"}${analyse ? " analysed" : ""}`,
  );
}

test("planAhead() tells what Kubernetes would do of a rolling rollout", () => {
  assert.deepEqual(told(strategyNamed("rolling"), 4, 4), [
    "1: 1 + 4, 20 %, 0",
    "2: 1 + 2, 33.33 %, 0",
    "3: 3 + 2, 60 %, 0",
    "4: 3 + 0, 100 %, 0",
    "5: 4 + 0, 100 %, 0",
    "switch: 4 + 0, 100 %, 0",
  ]);
});

test("planAhead() tells a canary's instances at each share, and what each step waits for", () => {
  const steps = [
    { weight: 500, holdMs: 120_000, analyse: true },
    { weight: 5_000, holdMs: null, analyse: false },
  ];
  assert.deepEqual(told({ kind: "canary", steps, analysis: defaultAnalysis }, 4, 4), [
    "1: 1 + 4, 5 %, 120000 analysed",
    "2: 2 + 4, 50 %, person",
    "switch: 4 + 4, 100 %, 0",
  ]);
});

test("planAhead() tells of a hold before a switch, and of one without", () => {
  assert.deepEqual(told({ kind: "blue-green", holdMs: 600_000 }, 2, 2), [
    "1: 2 + 2, 0 %, 600000",
    "switch: 2 + 2, 100 %, 0",
  ]);
  assert.deepEqual(told(strategyNamed("blue-green"), 2, 3), ["switch: 2 + 3, 100 %, 0"]);
});

test("planAhead() ends with all instances and all requests, whatever it begins with", () => {
  const counts = fc.integer({ min: 1, max: 60 });
  fc.assert(
    fc.property(fc.constantFrom(...strategyKinds), counts, counts, (kind, desired, live) => {
      const last = planAhead(strategyNamed(kind), desired, live).at(-1);
      assert.deepEqual([last?.step, last?.coming, last?.weight], [null, desired, 10_000]);
    }),
  );
});
