import assert from "node:assert/strict";
import test from "node:test";
import type { RolloutStatus } from "../model/api/rollouts.ts";
import { plainPaint } from "./paint.ts";
import { progressText, renderRollout } from "./rollout.ts";

const canary: RolloutStatus = {
  release: 14,
  of: null,
  type: "deploy",
  strategy: "canary",
  because: null,
  healthy: 1,
  wanted: 4,
  sinceMs: 150_000,
  deadlineInMs: 720_000,
  step: 2,
  steps: 3,
  weight: 2_500,
  sets: [
    { release: 13, role: "live", ready: 4, instances: 4, weight: 7_500 },
    { release: 14, role: "next", ready: 1, instances: 1, weight: 2_500 },
  ],
  holdLeftMs: 89_100,
  paused: null,
  hurried: false,
};

test("renderRollout() tells step, share, instances and the time that is left, and who has the requests", () => {
  assert.deepEqual(renderRollout(canary, plainPaint), [
    "rollout to v14 by canary: step 2 of 3, 25 %, 1/1 healthy, 1.5 min more after 2.5 min, deadline in 12 min",
    "  v13  live  4/4 healthy  75 % of the requests",
    "  v14  next  1/1 healthy  25 % of the requests",
  ]);
});

test("renderRollout() tells why a rollout is paused, and what a person can do", () => {
  const paused = { by: "person", reason: "alice looks at it", forMs: 60_000, endsInMs: 86_340_000 } as const;
  const lines = renderRollout({ ...canary, paused, sets: [] }, plainPaint);
  assert.equal(
    lines[0],
    "rollout to v14 by canary: step 2 of 3, 25 %, 1/4 healthy, paused: alice looks at it after 2.5 min",
  );
  assert.match(lines[1] ?? "", /^ {2}paused for 1 min: `bronze rollout resume` goes on, .* ended by itself in 24 h$/);
});

test("progressText() tells what is still measured", () => {
  const last = "0 of 200 requests failed";
  const metrics = [
    { name: "errors", phase: "running", measured: 3, last },
    { name: "p99", phase: "running", measured: 0, last: "" },
    { name: "page", phase: "successful", measured: 1, last: "status 200" },
  ] as const;
  assert.equal(
    progressText({ ...canary, analysis: { skipped: false, extended: 0, metrics } }),
    "step 2 of 3, 25 %, 1/1 healthy, 1.5 min more, errors: 0 of 200 requests failed, p99 is measured",
  );
});

test("progressText() counts instances alone before the first step, and where there are none", () => {
  assert.equal(progressText({ ...canary, step: 0, weight: 0, holdLeftMs: null }), "1/4 healthy");
  const rolling = { ...canary, strategy: "rolling", step: 3, steps: null, holdLeftMs: null } as const;
  assert.equal(progressText(rolling), "step 3, 25 %, 1/1 healthy");
  const grown = { ...rolling, sets: [{ release: 14, role: "next", ready: 4, instances: 4, weight: 4_444 }] } as const;
  assert.equal(progressText({ ...grown, weight: 0 }), "step 3, 44.44 %, 4/4 healthy");
  assert.equal(progressText({ ...rolling, hurried: true }), "step 3, 25 %, 1/1 healthy, without its remaining steps");
});

test("renderRollout() tells what is measured, and that nothing is where what is live failed itself", () => {
  const metrics = [{ name: "errors", phase: "running", measured: 12, last: "0 of 300 requests (0 %) failed" }] as const;
  const told = renderRollout({ ...canary, analysis: { skipped: false, extended: 1, metrics } }, plainPaint);
  assert.deepEqual(told.slice(3), [
    "  errors  is measured  12 times  0 of 300 requests (0 %) failed",
    "  made longer once: too little could be measured",
  ]);
  const first = [{ name: "p99", phase: "running", measured: 1, last: "12" }] as const;
  const once = renderRollout({ ...canary, analysis: { skipped: false, extended: 0, metrics: first } }, plainPaint);
  assert.deepEqual(once.slice(3), ["  p99  is measured  once  12"]);
  const skipped = renderRollout({ ...canary, analysis: { skipped: true, extended: 0, metrics: [] } }, plainPaint);
  assert.deepEqual(skipped.slice(3), ["  not analysed: what is live failed itself before it began"]);
});
