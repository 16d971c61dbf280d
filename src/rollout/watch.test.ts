import assert from "node:assert/strict";
import test from "node:test";
import { judgeWatch } from "./watch.ts";
import { addSample, emptyWindow, shareOf } from "./window.ts";

const cases = [
  ["too few requests prove nothing", 19, 19, 0, 0, false],
  ["5 % of 20 is enough without a baseline", 20, 1, 0, 0, true],
  ["below 5 % is not", 100, 4, 0, 0, false],
  ["as bad as the old content is not its fault", 100, 10, 100, 10, false],
  ["twice as bad is", 100, 20, 100, 10, true],
  ["a clean baseline counts as 0", 100, 5, 1000, 0, true],
] as const;

for (const [why, requests, errors, baselineRequests, baselineErrors, fires] of cases) {
  test(`judgeWatch(): ${why}`, () => {
    assert.equal(judgeWatch({ requests, errors }, { requests: baselineRequests, errors: baselineErrors }).fires, fires);
  });
}

test("addSample() counts what came before the first sample", () => {
  const counts = {
    epoch: "a",
    requests: 40,
    status: { "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 40 },
    aborted: 0,
    gap: false,
    gaps: 0,
    latency: { boundsMs: [], counts: [] },
  };
  assert.deepEqual(shareOf(addSample(emptyWindow, counts, 1000), 5000, 900, 1001), { requests: 40, errors: 40 });
});

test("shareOf() counts only the stretch, and nothing before the switch", () => {
  let window = emptyWindow;
  for (let second = 0; second <= 10; second += 1) {
    const counts = {
      epoch: "a",
      requests: second * 10,
      status: { "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": second },
      aborted: 0,
      gap: false,
      gaps: 0,
      latency: { boundsMs: [], counts: [] },
    };
    window = addSample(window, counts, second * 1000);
  }
  assert.deepEqual(shareOf(window, 5000, 0, 10_000), { requests: 50, errors: 5 });
  assert.deepEqual(shareOf(window, 5000, 8000, 10_000), { requests: 20, errors: 2 });
  assert.deepEqual(shareOf(emptyWindow, 5000, 0, 0), { requests: 0, errors: 0 });
});
