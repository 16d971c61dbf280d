import assert from "node:assert/strict";
import test from "node:test";
import { strategyNamed } from "../../model/strategy.ts";
import { set } from "../testing.ts";
import { planBlueGreen } from "./blue-green.ts";
import { canaryCount, canaryHoldEndMs, planCanary } from "./canary.ts";
import { planStrategy } from "./plan.ts";
import { shareByInstances } from "./shape.ts";
import { input, nothingYet, numbers } from "./testing.ts";

const canary = {
  kind: "canary",
  steps: [
    { weight: 500, holdMs: 60_000, analyse: true },
    { weight: 2_500, holdMs: null, analyse: false },
    { weight: 5_000, holdMs: 0, analyse: false },
  ],
} as const;
const live = numbers(1, 10);

const shares: readonly (readonly [number, number, number])[] = [
  [500, 10, 1],
  [1, 10, 1],
  [1_000, 10, 1],
  [1_001, 10, 2],
  [2_500, 10, 3],
  [5_000, 3, 2],
  [10_000, 4, 4],
  [100, 1, 1],
];
for (const [weight, desired, count] of shares) {
  test(`canaryCount() of ${weight / 100} % of ${desired} is ${count}`, () => {
    assert.equal(canaryCount(weight, desired), count);
  });
}

// what, next [count, ready], progress, time, passed → count wanted, weight, step, ready
type Row = readonly [
  string,
  readonly [number, number],
  Partial<typeof nothingYet>,
  number,
  boolean,
  readonly [number, number, number | undefined, boolean],
];
const paused = { sinceMs: 0, by: "plan", reason: "" } as const;
const rows: readonly Row[] = [
  ["nothing yet", [0, 0], {}, 0, true, [1, 0, undefined, false]],
  ["its first instance is ready", [1, 1], {}, 0, true, [1, 0, 1, false]],
  ["it is held", [1, 1], { step: 1, weight: 500 }, 59_999, true, [1, 500, undefined, false]],
  ["its time is over, and it is judged", [1, 1], { step: 1, weight: 500 }, 60_000, false, [1, 500, undefined, false]],
  ["it may go on", [1, 1], { step: 1, weight: 500 }, 60_000, true, [3, 500, undefined, false]],
  ["enough for its next step are ready", [3, 3], { step: 1, weight: 500 }, 60_000, true, [3, 500, 2, false]],
  ["a person is waited for", [3, 3], { step: 2, weight: 2_500, paused }, 9e9, true, [3, 2_500, undefined, false]],
  ["a person let it go on", [3, 3], { step: 2, weight: 2_500 }, 0, true, [5, 2_500, undefined, false]],
  ["its last step is over", [5, 5], { step: 3, weight: 5_000 }, 0, true, [10, 5_000, undefined, false]],
  ["all are ready", [10, 10], { step: 3, weight: 5_000 }, 0, true, [10, 5_000, undefined, true]],
  ["it is hurried", [1, 1], { step: 1, weight: 500, hurried: true }, 0, false, [10, 500, undefined, false]],
  ["it is hurried and ready", [10, 10], { step: 1, weight: 500, hurried: true }, 0, false, [10, 500, undefined, true]],
  ["its only instance is out of order", [1, 0], { step: 1, weight: 500 }, 0, true, [1, 0, undefined, false]],
  ["it is paused before its first step", [1, 1], { paused }, 0, true, [1, 0, undefined, false]],
  ["it is paused at its end", [10, 10], { step: 3, weight: 5_000, paused }, 0, true, [5, 5_000, undefined, false]],
];
for (const [what, [count, ready], change, nowMs, passed, [wanted, weight, step, done]] of rows) {
  test(`planCanary(): ${what}`, () => {
    const progress = { ...nothingYet, ...change };
    const plan = planCanary(canary, input(10, { live, next: numbers(2, count, ready) }, { progress, nowMs, passed }));
    assert.deepEqual(
      [plan.counts.get(set(2)), plan.weights.get(set(2)), plan.step?.step, plan.ready],
      [wanted, weight, step, done],
    );
    assert.equal((plan.weights.get(set(1)) ?? 0) + weight, 10_000);
    assert.equal(plan.counts.has(set(1)), false, "what is live stays whole");
  });
}

test("planCanary() takes another number of instances in the middle at once", () => {
  const progress = { ...nothingYet, step: 2, weight: 2_500, paused };
  const counts = [20, 4, 1].map((desired) =>
    planCanary(canary, input(desired, { live, next: numbers(2, 3) }, { progress })).counts.get(set(2)),
  );
  assert.deepEqual(counts, [5, 1, 1]);
});

test("planCanary() waits for a person where a step says so, and canaryHoldEndMs() names the end of one that has a time", () => {
  const progress = { ...nothingYet, step: 1, weight: 500, sinceMs: 5 };
  const plan = planCanary(canary, input(10, { live, next: numbers(2, 3) }, { progress, nowMs: 60_005 }));
  assert.match(plan.step?.pause ?? "", /a person lets it go on from 25 %/);
  assert.deepEqual(
    [progress, { ...progress, step: 0 }, { ...progress, step: 2 }, { ...progress, hurried: true }].map((one) =>
      canaryHoldEndMs(canary, one),
    ),
    [60_005, null, null, null],
  );
});

test("planBlueGreen() goes live when all are ready, after its hold or a person's word", () => {
  const ready = { live, next: numbers(2, 10) };
  const plan = (holdMs: number | null, change: Partial<typeof nothingYet>, nowMs = 0) =>
    planBlueGreen({ holdMs }, input(10, ready, { progress: { ...nothingYet, ...change }, nowMs }));
  assert.equal(plan(0, {}).ready, true);
  assert.deepEqual(
    [plan(1_000, {}).ready, plan(1_000, {}).step?.step, plan(1_000, {}).step?.pause],
    [false, 1, undefined],
  );
  assert.deepEqual([plan(1_000, { step: 1 }, 999).ready, plan(1_000, { step: 1 }, 1_000).ready], [false, true]);
  assert.match(plan(null, {}).step?.pause ?? "", /a person/);
  assert.deepEqual([plan(null, { step: 1, paused }).ready, plan(null, { step: 1 }).ready], [false, true]);
  assert.deepEqual([plan(1_000, { hurried: true }).ready, plan(0, { paused }).ready], [true, false]);
  assert.deepEqual(planBlueGreen({ holdMs: 0 }, input(10, { live, next: numbers(2, 10, 9) })).ready, false);
  assert.equal(plan(1_000, { step: 1 }).weights.get(set(2)), 0);
});

test("planStrategy() knows every strategy by name, and equal input gives an equal plan", () => {
  for (const kind of ["recreate", "rolling", "blue-green", "canary"] as const) {
    const given = input(4, { live: numbers(1, 4), next: numbers(2, 0) });
    assert.deepEqual(planStrategy(strategyNamed(kind), given), planStrategy(strategyNamed(kind), given));
  }
});

test("shareByInstances() shares all out exactly, and leaves them with the first where nobody is ready", () => {
  const shared = (...ready: number[]) => [
    ...shareByInstances(ready.map((count, place) => numbers(place + 1, count))).values(),
  ];
  assert.deepEqual(shared(1, 1, 1), [3_334, 3_333, 3_333]);
  assert.deepEqual(shared(0, 0), [10_000, 0]);
  assert.deepEqual(shared(0, 3), [0, 10_000]);
  assert.deepEqual(shared(2, 5), [2_857, 7_143]);
});
