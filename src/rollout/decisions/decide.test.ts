import assert from "node:assert/strict";
import test from "node:test";
import { defaultErrorRule } from "../../model/analysis.ts";
import type { Json } from "../../model/canonical.ts";
import { untouchedMetric } from "../analysis.ts";
import type { MeasuredMetric, StepInputs, StepOutcome } from "./analysis.ts";
import { decide, isReplayed, replay, type Decision } from "./decide.ts";
import type { FailureInputs, FailureOutcome } from "./failure.ts";
import type { WatchInputs, WatchOutcome } from "./watch.ts";

const metric = (settings: Partial<MeasuredMetric> = {}): MeasuredMetric => ({
  ...untouchedMetric,
  name: "errors",
  wanted: null,
  lacks: false,
  count: 60,
  last: "0 of 600 requests failed",
  ...settings,
});
const step: StepInputs = {
  metrics: [metric()],
  elapsedMs: 30_000,
  holdMs: 60_000,
  lengthMs: 60_000,
  cleared: false,
  beside: false,
};
const noTraffic = [metric({ lacks: true, count: 0, last: "no requests came" })];
const failed = [metric({ phase: "failed" })];
const unsure = [metric({ phase: "inconclusive", last: "lines of the log were lost" })];
const counted = [metric({ wanted: 5, count: 3 })];

const steps: readonly (readonly [string, Partial<StepInputs>, StepOutcome["verdict"], number])[] = [
  ["all is well and its time is not over", {}, "wait", 0],
  [
    "all is well and its time is over: what is measured for as long as it lasts ends early",
    { elapsedMs: 60_000 },
    "go on",
    0,
  ],
  ["a metric failed, whatever the time", { metrics: failed, elapsedMs: 1 }, "abort", 0],
  ["a metric failed while a person is waited for", { metrics: failed, holdMs: null }, "abort", 0],
  ["a metric failed after a person let it go on", { metrics: failed, cleared: true }, "abort", 0],
  ["a metric cannot be measured", { metrics: [metric({ phase: "error" })] }, "abort", 0],
  ["one is inconclusive", { metrics: unsure }, "pause", 0],
  ["one failed and one is inconclusive", { metrics: [...unsure, ...failed] }, "abort", 0],
  ["one is inconclusive and a person let it go on", { metrics: unsure, cleared: true }, "go on", 0],
  ["a person is waited for", { holdMs: null, elapsedMs: 9e9 }, "wait", 0],
  ["no traffic, and its time is not over", { metrics: noTraffic }, "wait", 0],
  ["no traffic in its time: longer", { metrics: noTraffic, elapsedMs: 60_000 }, "extend", 1],
  ["no traffic in twice its time: longer again", { metrics: noTraffic, elapsedMs: 120_000 }, "extend", 2],
  ["no traffic in three times its time: a person decides", { metrics: noTraffic, elapsedMs: 180_000 }, "pause", 2],
  ["no traffic, and a person let it go on", { metrics: noTraffic, elapsedMs: 180_000, cleared: true }, "go on", 0],
  ["traffic came when it was longer", { elapsedMs: 61_000 }, "go on", 0],
  [
    "its time is over and its measurements are not",
    { metrics: counted, elapsedMs: 60_000, lengthMs: 90_000 },
    "wait",
    0,
  ],
  [
    "all of them were made",
    { metrics: [metric({ phase: "successful", wanted: 5, count: 5 })], elapsedMs: 60_000 },
    "go on",
    0,
  ],
  ["it runs beside: a metric failed", { metrics: failed, beside: true }, "abort", 0],
  ["it runs beside: one is inconclusive", { metrics: unsure, beside: true }, "pause", 0],
  ["it runs beside: no traffic holds nothing up", { metrics: noTraffic, beside: true, elapsedMs: 9e9 }, "go on", 0],
];
for (const [what, change, verdict, extended] of steps) {
  test(`decide() of a step: ${what} → ${verdict}`, () => {
    const { outcome } = decide("analysis", { ...step, ...change });
    assert.deepEqual([outcome.verdict, outcome.extended], [verdict, extended]);
  });
}

const watch: WatchInputs = {
  type: "deploy",
  recent: { requests: 100, errors: 0 },
  baseline: { requests: 1_000, errors: 1 },
  down: null,
  to: 1,
  irreversible: false,
  warned: false,
  held: false,
  watchedMs: 5_000,
  watchMs: 60_000,
};
const bad = { recent: { requests: 100, errors: 9 } };
const watches: readonly (readonly [string, Partial<WatchInputs>, WatchOutcome["verdict"]])[] = [
  ["all is well", {}, "wait"],
  ["its time is over", { watchedMs: 60_000 }, "prove"],
  ["it fails", bad, "take back"],
  ["all of it is down", { down: "all instances ended" }, "take back"],
  ["it fails and cannot be undone", { ...bad, irreversible: true }, "hold"],
  ["it is held already", { ...bad, irreversible: true, held: true, watchedMs: 90_000 }, "wait"],
  ["a first deploy fails", { ...bad, to: null }, "warn"],
  ["a rollback fails", { ...bad, type: "rollback" }, "warn"],
  ["a rollback failed and its time is over", { ...bad, type: "rollback", warned: true, watchedMs: 60_000 }, "prove"],
  ["too few requests", { recent: { requests: 19, errors: 19 } }, "wait"],
  ["what it replaced failed as often", { ...bad, baseline: { requests: 100, errors: 9 } }, "wait"],
];
for (const [what, change, verdict] of watches) {
  test(`decide() of a watch: ${what} → ${verdict}`, () => {
    assert.equal(decide("watch", { ...watch, ...change }).outcome.verdict, verdict);
  });
}

test("decide() skips the analysis where what is live fails itself", () => {
  const skip = (requests: number, errors: number, usable = 2) =>
    decide("baseline", { release: 1, recent: { requests, errors }, usable }).outcome.skip;
  assert.deepEqual(
    [skip(0, 0), skip(19, 19), skip(100, 4), skip(100, 5), skip(0, 0, 0)],
    [false, false, false, true, true],
  );
});

test("isReplayed() holds recorded decisions against what their rules come to now, as they are in the ledger", () => {
  const counts = { fresh: { requests: 100, errors: 30 }, live: { requests: 900, errors: 1 } };
  const zero = { fresh: { requests: 0, errors: 0 }, live: { requests: 0, errors: 0 } };
  const all: readonly Decision[] = [
    decide("errors", { rule: defaultErrorRule, starts: [{ index: 0, ...zero }], now: counts }),
    decide("analysis", step),
    decide("watch", { ...watch, ...bad }),
    decide("baseline", { release: 1, recent: { requests: 0, errors: 0 }, usable: 1 }),
  ];
  for (const one of all) {
    const recorded = JSON.parse(JSON.stringify(one)) as { rule: string; inputs: Json; outcome: Json };
    assert.equal(isReplayed(recorded), true, one.rule);
    assert.equal(isReplayed({ ...recorded, outcome: { ...(recorded.outcome as object), more: 1 } }), false);
    assert.notEqual(one.sentence, "");
  }
  assert.equal(
    isReplayed({
      rule: "watch",
      inputs: { ...watch, recent: { requests: 100, errors: 9 } } as unknown as Json,
      outcome: { verdict: "wait", reason: "" },
    }),
    false,
  );
  assert.equal(replay({ rule: "of a later version", inputs: {}, outcome: {} }), null);
  assert.equal(replay({ rule: "errors", inputs: "no inputs", outcome: {} }), null);
});

const healthy: FailureInputs = {
  exited: null,
  late: null,
  crashes: 0,
  crashed: null,
  failing: null,
  pausedMs: null,
  overdueMs: -1,
  waitedFor: null,
};
const failures: readonly (readonly [string, Partial<FailureInputs>, FailureOutcome])[] = [
  ["all is well", {}, { reason: null, instance: null }],
  ["one ended in its first start", { exited: "a", late: "b" }, { reason: "exited", instance: "a" }],
  ["one is late", { late: "b", overdueMs: 5 }, { reason: "unhealthy", instance: "b" }],
  ["one ended once", { crashes: 1, crashed: "c" }, { reason: null, instance: null }],
  ["they keep ending", { crashes: 2, crashed: "c" }, { reason: "crashing", instance: "c" }],
  ["one fails its probes", { failing: "d" }, { reason: "failing", instance: "d" }],
  ["its deadline is over", { overdueMs: 0, waitedFor: "e" }, { reason: "deadline", instance: "e" }],
  ["paused, its deadline stands still", { overdueMs: 5, pausedMs: 1_000 }, { reason: null, instance: null }],
  ["paused for a day", { pausedMs: 86_400_000 }, { reason: "paused", instance: null }],
  ["paused, and one fails", { pausedMs: 1_000, failing: "d" }, { reason: "failing", instance: "d" }],
];
for (const [what, change, outcome] of failures) {
  test(`decide() of a rollout: ${what}`, () => {
    const decision = decide("failure", { ...healthy, ...change });
    assert.deepEqual(decision.outcome, outcome);
    assert.notEqual(decision.sentence, "");
  });
}
