import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Amount } from "../../model/strategy.ts";
import { set } from "../testing.ts";
import {
  cleanUpUnready,
  newSetCount,
  oldSetCounts,
  planRolling,
  resolveFenceposts,
  scaleDownOld,
  scaleProportionally,
} from "./rolling.ts";
import type { StrategySet } from "./shape.ts";
import { input, listed, nothingYet, numbers } from "./testing.ts";

const fenceposts: readonly (readonly [Amount, Amount, number, number, number])[] = [
  ["0%", "0%", 0, 0, 1],
  ["39%", "39%", 10, 4, 3],
  [0, 0, 10, 0, 1],
  ["25%", "25%", 1, 1, 0],
  ["25%", "25%", 3, 1, 0],
  ["25%", "25%", 4, 1, 1],
  ["25%", "25%", 10, 3, 2],
  ["100%", "0%", 7, 7, 0],
  ["250%", "0%", 3, 8, 0],
  [0, "10%", 5, 0, 1],
  [0, "49%", 2, 0, 1],
  [3, 2, 10, 3, 2],
  ["50%", 1, 3, 2, 1],
];
for (const [maxSurge, maxUnavailable, desired, surge, unavailable] of fenceposts) {
  test(`resolveFenceposts() of ${maxSurge}, ${maxUnavailable} and ${desired} is ${surge}, ${unavailable}`, () => {
    assert.deepEqual(resolveFenceposts(maxSurge, maxUnavailable, desired), { surge, unavailable });
  });
}

// desired, surge, old, next → next becomes
const newSets: readonly (readonly [number, number, number, number, number])[] = [
  [10, 0, 10, 0, 0],
  [10, 2, 10, 0, 2],
  [10, 2, 5, 0, 7],
  [10, 2, 10, 2, 2],
  [10, 2, 2, 11, 10],
  [1, 1, 1, 0, 1],
  [6, 10, 6, 2, 6],
  [10, 1, 5, 5, 6],
  [10, 1, 6, 5, 5],
  [3, 1, 0, 0, 3],
  [0, 0, 3, 2, 0],
  [10, 2, 20, 4, 4],
];
for (const [desired, surge, old, next, becomes] of newSets) {
  test(`newSetCount() of ${desired} with surge ${surge}, ${old} old and ${next} new ones is ${becomes}`, () => {
    assert.equal(newSetCount(desired, surge, next, old + next), becomes);
  });
}

// desired, unavailable, old [count, ready], next [count, ready] → old becomes
type Numbers = readonly [number, number];
const oldSets: readonly (readonly [string, number, number, Numbers, Numbers, number])[] = [
  ["one may be missing", 10, 1, [10, 10], [0, 0], 9],
  ["two may be missing", 10, 2, [10, 10], [0, 0], 8],
  ["those that are not ready go first", 10, 2, [10, 8], [0, 0], 8],
  ["one that is not ready goes, and one that is", 10, 2, [10, 9], [0, 0], 8],
  ["what the new set waits for makes no room", 10, 2, [8, 8], [2, 0], 8],
  ["what of the new set is ready makes room", 10, 2, [8, 8], [4, 2], 6],
  ["nothing is ready", 10, 2, [10, 0], [0, 0], 8],
  ["nothing is left", 10, 2, [0, 0], [10, 10], 0],
  ["the new set has them all", 10, 0, [2, 2], [10, 10], 0],
];
for (const [name, desired, unavailable, [count, ready], [nextCount, nextReady], becomes] of oldSets) {
  test(`oldSetCounts() of ${desired}: ${name}, ${count} become ${becomes}`, () => {
    const next = numbers(2, nextCount, nextReady);
    assert.deepEqual(
      oldSetCounts(desired, unavailable, next, [numbers(1, count, ready)]).map((one) => one.count),
      [becomes],
    );
  });
}

// unavailable, ready, old → old becomes: only those that are ready are counted
const readyOnes: readonly (readonly [number, number, number, number])[] = [
  [1, 10, 10, 9],
  [2, 10, 10, 8],
  [2, 8, 10, 10],
  [2, 10, 0, 0],
  [2, 1, 10, 10],
];
for (const [unavailable, ready, count, becomes] of readyOnes) {
  test(`scaleDownOld() of ${count}, ${ready} ready and ${unavailable} to miss, is ${becomes}`, () => {
    const [old] = scaleDownOld(10 - unavailable, numbers(2, 0), [numbers(1, count, ready)]);
    assert.equal(old?.count, becomes);
  });
}

test("scaleProportionally() starts no more of any set than are wanted in the end", () => {
  const counts = scaleProportionally(18, numbers(2, 7), [numbers(1, 5)], { from: 12, to: 36 });
  assert.deepEqual([...counts.values()], [15, 18]);
  const mostlyLive = scaleProportionally(23, numbers(2, 1), [numbers(1, 5)], { from: 6, to: 29 });
  assert.deepEqual([...mostlyLive.values()], [23, 5]);
});

test("oldSetCounts() takes none that answers while too few are ready", () => {
  const old = { ...numbers(1, 3, 1), serving: 2 };
  const became = (next: number): number | undefined => oldSetCounts(4, 1, numbers(2, next), [old])[0]?.count;
  assert.equal(became(1), 2, "2 are ready, and 3 are to be: only the one that does not answer goes");
  assert.equal(became(2), 1);
});

test("scaleDownOld() begins with the oldest", () => {
  const old = [numbers(1, 3), numbers(2, 5)];
  assert.deepEqual(
    scaleDownOld(8, numbers(3, 4), old).map(({ count }) => count),
    [0, 4],
  );
});

// old [count, ready], most → becomes
const unready: readonly (readonly [Numbers, number, number])[] = [
  [[10, 8], 1, 9],
  [[10, 8], 3, 8],
  [[10, 8], 0, 10],
  [[10, 10], 3, 10],
];
for (const [[count, ready], most, becomes] of unready) {
  test(`cleanUpUnready() of ${count}, ${ready} ready, takes at most ${most}: ${becomes} are left`, () => {
    assert.deepEqual(
      cleanUpUnready([numbers(1, count, ready)], most).map((one) => one.count),
      [becomes],
    );
  });
}

test("cleanUpUnready() takes those that do not answer before those that only have not answered for long enough", () => {
  const answers = { ...numbers(1, 4, 0), serving: 4 };
  const old = [answers, numbers(2, 5, 0)];
  const counts = (most: number) => cleanUpUnready(old, most).map(({ count }) => count);
  assert.deepEqual(
    [counts(4), counts(7)],
    [
      [4, 1],
      [2, 0],
    ],
  );
});

// name, desired [before, now], surge [before, now], old sets oldest first, next [count, ready] → all become
type Scaling = readonly [string, Numbers, Numbers, readonly number[], Numbers, readonly number[]];
const scalings: readonly Scaling[] = [
  ["the new set alone, 10 to 12", [10, 12], [0, 0], [], [10, 10], [12]],
  ["the new set alone, 10 to 5", [10, 5], [0, 0], [], [10, 10], [5]],
  ["in proportion, 5 to 10", [5, 10], [0, 0], [3], [2, 0], [6, 4]],
  ["in proportion, 5 to 3", [5, 3], [0, 0], [3], [2, 0], [2, 1]],
  ["in proportion, 9 to 4", [9, 4], [0, 0], [1], [8, 0], [0, 4]],
  ["in proportion, 7 to 10", [7, 10], [0, 0], [2, 3], [2, 0], [3, 4, 3]],
  ["in proportion, 13 to 8", [13, 8], [0, 0], [3, 8], [2, 0], [2, 5, 1]],
  ["what is left goes to the newest of equal ones, 3 to 4", [3, 4], [0, 0], [1, 1], [1, 0], [1, 1, 2]],
  ["what is left is taken from the oldest of equal ones, 3 to 2", [3, 2], [0, 0], [1, 1], [1, 0], [0, 1, 1]],
  ["what is left goes to the largest, 4 to 5", [4, 5], [0, 0], [3], [1, 0], [4, 1]],
  ["an old set alone", [4, 6], [1, 1], [4], [0, 0], [6, 0]],
  ["all that is wanted is new and ready", [4, 2], [0, 0], [2], [2, 2], [0, 2]],
  ["surge counts, 10 to 15", [10, 15], [3, 3], [8], [5, 5], [11, 7]],
  ["surge counts, 10 to 20", [10, 20], [2, 2], [6], [6, 0], [11, 11]],
  ["another surge too, 10 to 50", [10, 50], [3, 6], [8], [5, 0], [34, 22]],
  ["to none", [4, 0], [1, 0], [3], [2, 0], [0, 0]],
];
for (const [name, [before, desired], [surgeBefore, surge], old, [count, ready], become] of scalings) {
  test(`scaleProportionally(): ${name}`, () => {
    const sets = old.map((one, place) => numbers(place + 1, one, 0));
    const next = numbers(old.length + 1, count, ready);
    const bounds = { from: before + surgeBefore, to: desired + surge };
    assert.deepEqual(listed(scaleProportionally(desired, next, sets, bounds)), become);
  });
}

const rolling = { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%" } as const;

test("planRolling() grows, shrinks and goes live, and gives requests to all that are ready alike", () => {
  let [live, next] = [numbers(1, 4), numbers(2, 0)];
  let progress = nothingYet;
  const told: unknown[] = [];
  for (let round = 0; round < 20; round += 1) {
    const plan = planRolling(rolling, input(4, { live, next }, { progress }));
    told.push([listed(plan.counts), plan.weights.get(set(2))]);
    if (plan.ready) break;
    if (plan.step !== undefined) progress = { ...progress, step: plan.step.step, instances: 4 };
    live = numbers(1, plan.counts.get(set(1)) ?? 0);
    next = numbers(2, plan.counts.get(set(2)) ?? 0);
  }
  assert.deepEqual(told, [
    [[4, 1], 0],
    [[2, 1], 2_000],
    [[2, 3], 3_333],
    [[0, 3], 6_000],
    [[0, 4], 10_000],
    [[0, 4], 10_000],
  ]);
});

test("planRolling() stands still while it is paused, but for what is scaled", () => {
  const paused = { sinceMs: 0, by: "person", reason: "" } as const;
  const sets = { live: numbers(1, 8), next: numbers(2, 5) };
  const progress = { ...nothingYet, step: 3, instances: 10, paused };
  const still = planRolling({ ...rolling, maxSurge: 3 }, input(10, sets, { progress }));
  assert.deepEqual([listed(still.counts), still.step], [[8, 5], undefined]);
  const scaled = planRolling({ ...rolling, maxSurge: 3 }, input(15, sets, { progress }));
  assert.deepEqual([listed(scaled.counts), scaled.step?.instances], [[11, 7], 15]);
});

test("planRolling() that is hurried brings all that is left at once and takes nothing away", () => {
  const progress = { ...nothingYet, step: 3, instances: 10, hurried: true };
  const plan = planRolling(rolling, input(10, { live: numbers(1, 8), next: numbers(2, 4, 2) }, { progress }));
  assert.deepEqual([listed(plan.counts), plan.ready], [[8, 10], false]);
});

test("planRolling() that is hurried takes nothing away when more or fewer are wanted", () => {
  const sets = { live: numbers(1, 6), next: numbers(2, 6, 0) };
  for (const paused of [null, { sinceMs: 0, by: "person", reason: "" } as const]) {
    const progress = { ...nothingYet, step: 4, instances: 6, hurried: true, paused };
    const counts = (desired: number) => listed(planRolling(rolling, input(desired, sets, { progress })).counts);
    assert.deepEqual(
      [counts(8), counts(4)],
      [
        [6, 8],
        [6, 4],
      ],
    );
  }
});

const amount = fc.oneof(
  fc.integer({ min: 0, max: 20 }),
  fc.integer({ min: 0, max: 100 }).map((share): Amount => `${share}%`),
);

test("planRolling() keeps its promise at every step, whatever is ready when, and comes to its end", () => {
  fc.assert(
    fc.property(
      amount,
      amount,
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 400 }),
      (maxSurge, maxUnavailable, desired, chances) => {
        const strategy = { kind: "rolling", maxSurge, maxUnavailable } as const;
        const { surge, unavailable } = resolveFenceposts(maxSurge, maxUnavailable, desired);
        let [live, next]: StrategySet[] = [numbers(1, desired), numbers(2, 0)];
        let progress = nothingYet;
        for (let round = 0; round < 1_000; round += 1) {
          assert.ok(live !== undefined && next !== undefined);
          const plan = planRolling(strategy, input(desired, { live, next }, { progress }));
          assert.equal(
            [...plan.weights.values()].reduce((sum, share) => sum + share, 0),
            10_000,
          );
          assert.deepEqual(planRolling(strategy, input(desired, { live, next }, { progress })), plan);
          if (plan.ready) return;
          if (plan.step !== undefined) progress = { ...progress, step: plan.step.step, instances: desired };
          const [oldCount, newCount] = [plan.counts.get(set(1)) ?? 0, plan.counts.get(set(2)) ?? 0];
          // Those of the new set become ready when they like, and stay so.
          const chance = chances[round] ?? 1;
          const ready: number = next.available + Math.floor((newCount - next.available) * chance);
          live = numbers(1, oldCount);
          next = numbers(2, newCount, ready);
          assert.ok(oldCount + newCount <= desired + surge, `${oldCount} and ${newCount} are too many`);
          assert.ok(oldCount + ready >= desired - unavailable, `${oldCount} and ${ready} are too few`);
        }
        assert.fail("it did not come to its end");
      },
    ),
  );
});
