import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoadReport } from "../../load/protocol.ts";
import { availability, failuresOf, renderRows, rowOf } from "./rows.ts";

const figures = {
  availability_during_deploy_pct: null,
  deploy_rollback_time_ms: 3.21,
  config_drift_pct: 0,
  instance_age_hours: 0.001,
};
const report: LoadReport = {
  requests: 1_000_000,
  failed: 1,
  kinds: [
    {
      kind: "upload",
      requests: 1_000_000,
      failed: 1,
      reasons: { reset: 1 },
      latencyMs: { p50: 1, p95: 1, p99: 1, max: 1 },
    },
  ],
  versions: {},
  inFlight: { min: 1, max: 1, atMarks: [] },
  uploaded: [],
  uploadFailures: [],
  examples: [],
  elapsedMs: 1,
};

test("availability() is never rounded up to 100 and null of no requests", () => {
  assert.equal(availability(1_000_000, 0), 100);
  assert.equal(availability(1_000_000, 1), 99.999);
  assert.equal(availability(3, 1), 66.666);
  assert.equal(availability(0, 0), null);
});

test("rowOf() takes availability from the clients and the other figures as they are", () => {
  const row = rowOf("v1 → v2", report, figures);
  assert.deepEqual(row.figures, { ...figures, availability_during_deploy_pct: 99.999 });
  assert.deepEqual([row.requests, row.failed], [1_000_000, 1]);
});

test("renderRows() shows what was not measured as a dash", () => {
  const [head, line] = renderRows([
    rowOf("v1 → v2", { ...report, failed: 0 }, { ...figures, deploy_rollback_time_ms: null }),
  ]);
  assert.match(head ?? "", /ROLLOUT +REQUESTS +FAILED +AVAILABLE/);
  assert.match(line ?? "", /v1 → v2 +1,000,000 +0 +100 % +- +0 % +0\.001 h/);
});

test("failuresOf() names kind and reason of each failure", () => {
  assert.deepEqual(failuresOf(report), ["1 × upload: reset"]);
});
