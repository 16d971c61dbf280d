import assert from "node:assert/strict";
import test from "node:test";
import type { TrafficCounts } from "../model/observation.ts";
import { addTotal, beginTotal, percentileMs, totalSince } from "./traffic-total.ts";

const boundsMs = [10, 20, 100, Number.POSITIVE_INFINITY];
function counts(
  requests: number,
  errors: number,
  change: Partial<TrafficCounts> = {},
  latency = [requests, 0, 0, 0],
): TrafficCounts {
  const status = { "1xx": 0, "2xx": requests - errors, "3xx": 0, "4xx": 0, "5xx": errors };
  return {
    epoch: "a",
    requests,
    status,
    aborted: 0,
    gap: false,
    gaps: 0,
    latency: { boundsMs, counts: latency },
    ...change,
  };
}
const shown = ({ requests, errors, gaps }: { requests: number; errors: number; gaps: number }) => [
  requests,
  errors,
  gaps,
];

test("addTotal() counts from where it began, and not what came before", () => {
  let total = beginTotal(counts(100, 50));
  total = addTotal(total, counts(110, 51));
  assert.deepEqual(shown(total), [10, 1, 0]);
  total = addTotal(total, undefined);
  assert.deepEqual(shown(addTotal(total, counts(120, 51))), [20, 1, 0]);
});

test("addTotal() counts a set from its first request that was not counted when it began", () => {
  assert.deepEqual(shown(addTotal(beginTotal(undefined), counts(7, 2, { gaps: 3 }))), [7, 2, 0]);
});

test("addTotal() goes on where counting began anew, and says that some of it may be missing", () => {
  const total = addTotal(beginTotal(counts(100, 50)), counts(4, 1, { epoch: "b" }));
  assert.deepEqual(shown(total), [4, 1, 1]);
  assert.deepEqual(shown(addTotal(total, counts(6, 1, { epoch: "b" }))), [6, 1, 1]);
});

test("addTotal() tells each loss of lines once", () => {
  const total = addTotal(beginTotal(counts(0, 0, { gaps: 2, gap: true })), counts(5, 0, { gaps: 2, gap: true }));
  assert.equal(total.gaps, 0);
  const lost = addTotal(total, counts(9, 0, { gaps: 3, gap: true }));
  assert.deepEqual(shown(totalSince(lost, total)), [4, 0, 1]);
  assert.deepEqual(shown(totalSince(addTotal(lost, counts(10, 0, { gaps: 3, gap: true })), lost)), [1, 0, 0]);
});

const spread = addTotal(beginTotal(undefined), counts(100, 0, {}, [50, 40, 9, 1]));
const few = addTotal(beginTotal(undefined), counts(15, 0, {}, [10, 5, 0, 0]));
const percentiles: readonly (readonly [string, number, typeof spread, number | null])[] = [
  ["p50 at a bound", 0.5, spread, 10],
  ["p90 at a bound", 0.9, spread, 20],
  ["p95 between two", 0.95, spread, 20 + (80 * 5) / 9],
  ["p99 at a bound", 0.99, spread, 100],
  ["p50 of few", 0.5, few, 7.5],
  ["p90 of few", 0.9, few, 17],
  ["p95 of too few", 0.95, few, null],
  ["p99 of too few", 0.99, few, null],
  ["nothing", 0.5, beginTotal(undefined), null],
];
for (const [what, share, total, expected] of percentiles) {
  test(`percentileMs() ${what}`, () => {
    const found = percentileMs(total, share);
    assert.equal(
      found === null ? null : Number(found.toFixed(6)),
      expected === null ? null : Number(expected.toFixed(6)),
    );
  });
}

test("percentileMs() beyond the last bound is that bound", () => {
  assert.equal(percentileMs(addTotal(beginTotal(undefined), counts(4, 0, {}, [0, 0, 0, 4])), 0.5), 100);
});
