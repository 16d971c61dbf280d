import assert from "node:assert/strict";
import test from "node:test";
import { defaultErrorRule } from "../model/analysis.ts";
import { evidenceStartMs, judgeErrors, mostEvidenceStarts, withStart, type ComparedCounts } from "./error-rule.ts";

/** Numbers from 0 to 1, the same for the same seed. @see mulberry32, public domain */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Story {
  /** Requests a second of both. */
  readonly rate: number;
  /** Share of them that are the new content's. */
  readonly weight: number;
  readonly seconds: number;
  /** Share of errors at a moment. */
  readonly fresh: (second: number) => number;
  readonly live: (second: number) => number;
  /** Nothing is to go to what is live. */
  readonly alone?: true;
}

/** Looks each second, as the analysis does. @returns when it fired, and errors of the new content until then */
function run(story: Story, seed: number): { second: number; errors: number } | null {
  const next = random(seed);
  let counts: ComparedCounts = {
    fresh: { requests: 0, errors: 0 },
    live: story.alone ? null : { requests: 0, errors: 0 },
  };
  let starts = withStart([], counts);
  const many = (expected: number): number => {
    let count = 0;
    for (let time = -Math.log(1 - next()); time < expected; time -= Math.log(1 - next())) count += 1;
    return count;
  };
  for (let second = 1; second <= story.seconds; second += 1) {
    const add = (share: number, before: { requests: number; errors: number }, weight: number) => {
      const errors = many(story.rate * weight * share);
      return {
        requests: before.requests + errors + many(story.rate * weight * (1 - share)),
        errors: before.errors + errors,
      };
    };
    counts = {
      fresh: add(story.fresh(second), counts.fresh, story.weight),
      live: counts.live === null ? null : add(story.live(second), counts.live, 1 - story.weight),
    };
    if (judgeErrors(defaultErrorRule, starts, counts).fires) return { second, errors: counts.fresh.errors };
    if (second % (evidenceStartMs / 1000) === 0) starts = withStart(starts, counts);
  }
  return null;
}

function simulate(story: Story, runs: number) {
  const results = Array.from({ length: runs }, (_, seed) => run(story, 7919 * seed + 1));
  const fired = results.filter((one) => one !== null);
  const mean = (of: (one: { second: number; errors: number }) => number): number =>
    fired.reduce((sum, one) => sum + of(one), 0) / Math.max(1, fired.length);
  return { fired: fired.length, second: mean(({ second }) => second), errors: mean(({ errors }) => errors) };
}

const always = (share: number) => () => share;
const tenth = { rate: 500, weight: 0.1 };

test("judgeErrors() finds a canary that answers 5 % errors after fewer than 30 of them", () => {
  const found = simulate({ ...tenth, seconds: 60, fresh: always(0.05), live: always(0) }, 100);
  assert.equal(found.fired, 100);
  assert.ok(found.errors < 20, String(found.errors));
  const beside = simulate({ ...tenth, seconds: 60, fresh: always(0.05), live: always(0.01) }, 50);
  assert.equal(beside.fired, 50);
  assert.ok(beside.errors < 30, String(beside.errors));
});

test("judgeErrors() finds as soon what goes wrong after minutes in which all went well", () => {
  const late = simulate({ ...tenth, seconds: 180, fresh: (second) => (second > 120 ? 0.05 : 0), live: always(0) }, 30);
  assert.equal(late.fired, 30);
  assert.ok(late.errors < 30, String(late.errors));
});

test("judgeErrors() finds a canary that answers nothing but errors after a few of them, however few requests there are", () => {
  const found = simulate({ rate: 5, weight: 0.1, seconds: 120, fresh: always(1), live: always(0) }, 50);
  assert.equal(found.fired, 50);
  assert.ok(found.errors < 10, String(found.errors));
});

const harmless: readonly (readonly [string, Story])[] = [
  ["both have 1 % errors", { ...tenth, seconds: 120, fresh: always(0.01), live: always(0.01) }],
  ["both have 5 % errors", { ...tenth, seconds: 120, fresh: always(0.05), live: always(0.05) }],
  [
    "both fail wholly at times, whatever is behind them",
    { ...tenth, seconds: 120, fresh: (s) => (s % 20 < 3 ? 1 : 0), live: (s) => (s % 20 < 3 ? 1 : 0) },
  ],
  ["a few requests, and all fail", { rate: 5, weight: 0.5, seconds: 120, fresh: always(1), live: always(1) }],
  ["errors, but fewer than the floor", { rate: 500, weight: 0.5, seconds: 120, fresh: always(0.009), live: always(0) }],
  [
    "a third more errors than what is live",
    { rate: 200, weight: 0.5, seconds: 120, fresh: always(0.04), live: always(0.03) },
  ],
  [
    "alone with errors under the floor",
    { rate: 200, weight: 1, seconds: 120, fresh: always(0.008), live: always(0), alone: true },
  ],
];
for (const [what, story] of harmless) {
  test(`judgeErrors() looked at each second does not fire by chance: ${what}`, () => {
    // At the promised 1 in 1,000 at the most, two of 60 would be a wonder.
    const { fired } = simulate(story, 60);
    assert.ok(fired <= 1, `${fired} of 60`);
  });
}

test("judgeErrors() tells the stretch that tells most", () => {
  const zero = { fresh: { requests: 0, errors: 0 }, live: { requests: 0, errors: 0 } };
  const well = { fresh: { requests: 500, errors: 0 }, live: { requests: 4_500, errors: 4 } };
  const now = { fresh: { requests: 600, errors: 30 }, live: { requests: 5_400, errors: 4 } };
  const verdict = judgeErrors(defaultErrorRule, withStart(withStart([], zero), well), now);
  assert.equal(verdict.fires, true);
  assert.deepEqual(verdict.stretch, { fresh: { requests: 100, errors: 30 }, live: { requests: 900, errors: 0 } });
});

test("withStart() keeps the first start and the newest, and never more than its bound", () => {
  let starts = withStart([], { fresh: { requests: 0, errors: 0 }, live: null });
  for (let i = 1; i < 1_000; i += 1) starts = withStart(starts, { fresh: { requests: i, errors: 0 }, live: null });
  assert.ok(starts.length <= mostEvidenceStarts);
  assert.deepEqual([starts[0]?.index, starts.at(-1)?.index, starts.at(-2)?.index], [0, 999, 998]);
});
