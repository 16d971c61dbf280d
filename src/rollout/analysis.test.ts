import assert from "node:assert/strict";
import test from "node:test";
import { defaultMetric, parseCondition, type Metric } from "../model/analysis.ts";
import {
  afterMeasurement,
  assessRun,
  beginRun,
  judgeMeasurement,
  terminateRun,
  untouchedMetric,
  type AnalysisPhase,
  type Measured,
  type MeasurementPhase,
} from "./analysis.ts";

const low = parseCondition("result < 5");
const high = parseCondition("result > 3");
const is200 = parseCondition("status == 200");
const value = (result: number): Measured => ({ kind: "values", values: { result } });

// what, success, failure, value → phase
const measurements: readonly (readonly [string, Partial<Metric>, Measured, MeasurementPhase])[] = [
  ["no conditions: successful", {}, value(1), "successful"],
  ["no conditions and no value: successful", {}, { kind: "values", values: {} }, "successful"],
  ["success alone, true", { success: low }, value(4), "successful"],
  ["success alone, false: failed", { success: low }, value(5), "failed"],
  ["failure alone, true", { failure: high }, value(4), "failed"],
  ["failure alone, false: successful", { failure: high }, value(3), "successful"],
  ["both false: inconclusive", { success: low, failure: parseCondition("result > 9") }, value(7), "inconclusive"],
  ["both true: failure wins", { success: low, failure: high }, value(4), "failed"],
  ["success only of both", { success: low, failure: high }, value(2), "successful"],
  ["failure only of both", { success: low, failure: high }, value(7), "failed"],
  ["a condition on a value that is not there: error", { success: is200 }, value(1), "error"],
  ["the same for failure, whatever success says", { success: low, failure: is200 }, value(1), "error"],
  ["not a number: error", { success: low }, value(Number.NaN), "error"],
  ["infinity: error", { failure: high }, value(Number.POSITIVE_INFINITY), "error"],
  ["an error is one", { success: low }, { kind: "error", reason: "refused" }, "error"],
  ["a gap is inconclusive, never zero", { success: low }, { kind: "gap", reason: "lines lost" }, "inconclusive"],
  ["nothing to measure", { success: low }, { kind: "nothing", reason: "no traffic" }, "nothing"],
  ["the rule fires", {}, { kind: "judged", fires: true, finding: "" }, "failed"],
  ["the rule does not fire", {}, { kind: "judged", fires: false, finding: "" }, "successful"],
];
for (const [what, conditions, measured, phase] of measurements) {
  test(`judgeMeasurement() ${what}`, () => {
    assert.equal(judgeMeasurement({ ...defaultMetric, ...conditions }, measured), phase);
  });
}

const each: Readonly<Record<string, Measured>> = {
  S: value(1),
  F: value(9),
  I: { kind: "gap", reason: "" },
  E: { kind: "error", reason: "" },
  N: { kind: "nothing", reason: "" },
};

// what, settings, measurements one after the other → phase after each
const metrics: readonly (readonly [string, Partial<Metric>, string, readonly AnalysisPhase[]])[] = [
  ["nothing measured goes on", {}, "", []],
  ["one failed is one too many", {}, "SF", ["running", "failed"]],
  ["as many failed as are allowed", { failureLimit: 2 }, "FSF", ["running", "running", "running"]],
  ["one more", { failureLimit: 2 }, "FSFF", ["running", "running", "running", "failed"]],
  ["one inconclusive is one too many", {}, "I", ["inconclusive"]],
  ["inconclusive ones within their limit", { inconclusiveLimit: 1 }, "ISI", ["running", "running", "inconclusive"]],
  ["four errors in a row are allowed", {}, "EEEE", ["running", "running", "running", "running"]],
  ["the fifth is not", {}, "EEEEE", ["running", "running", "running", "running", "error"]],
  ["errors that are not in a row", { errorLimit: 1 }, "ESESE", ["running", "running", "running", "running", "running"]],
  [
    "a failed one ends errors in a row too",
    { errorLimit: 1, failureLimit: 9 },
    "EFEE",
    ["running", "running", "running", "error"],
  ],
  ["count reached", { count: 2 }, "SS", ["running", "successful"]],
  ["errors do not count", { count: 2 }, "SES", ["running", "running", "successful"]],
  [
    "nothing does not count, and breaks no row",
    { count: 2, errorLimit: 1 },
    "NENE",
    ["running", "running", "running", "error"],
  ],
  ["the last of the count failed: failed", { count: 2 }, "SF", ["running", "failed"]],
  ["the last of the count failed within its limit", { count: 2, failureLimit: 1 }, "SF", ["running", "successful"]],
  ["enough successful in a row, before the count", { count: 9, successLimit: 2 }, "SS", ["running", "successful"]],
  ["not in a row", { successLimit: 2, failureLimit: 1 }, "SFSS", ["running", "running", "running", "successful"]],
  ["an error breaks the row", { successLimit: 2 }, "SES", ["running", "running", "running"]],
  [
    "count reached without enough in a row: inconclusive",
    { count: 3, successLimit: 2, failureLimit: 1 },
    "SFS",
    ["running", "running", "inconclusive"],
  ],
  ["count and row at once: successful", { count: 2, successLimit: 2 }, "SS", ["running", "successful"]],
  ["what is done stays so", { count: 1 }, "SF", ["successful", "successful"]],
  ["what failed stays so", { successLimit: 1 }, "FS", ["failed", "failed"]],
];
for (const [what, settings, story, expected] of metrics) {
  test(`afterMeasurement() ${what}`, () => {
    const metric: Metric = {
      ...defaultMetric,
      name: "m",
      provider: { kind: "command", command: ["x"] },
      success: low,
      ...settings,
    };
    let state = untouchedMetric;
    const phases = Array.from(story, (letter) => {
      state = afterMeasurement(metric, state, each[letter] ?? value(0));
      return state.phase;
    });
    assert.deepEqual(phases, expected);
  });
}

test("afterMeasurement() tells the newest measurement in words", () => {
  const metric: Metric = {
    ...defaultMetric,
    name: "m",
    provider: { kind: "router", quantity: "p99" },
    success: low,
    failure: parseCondition("result > 9"),
  };
  assert.equal(afterMeasurement(metric, untouchedMetric, value(7.1234567)).last, "result 7.12346, wanted result < 5");
  assert.equal(
    afterMeasurement({ ...metric, success: null }, untouchedMetric, value(12)).last,
    "result 12, failure is result > 9",
  );
});

// phases of two metrics → the run's, and what it is when ended early
const runs: readonly (readonly [AnalysisPhase, AnalysisPhase, AnalysisPhase, AnalysisPhase])[] = [
  ["running", "running", "running", "successful"],
  ["successful", "running", "running", "successful"],
  ["successful", "successful", "successful", "successful"],
  ["failed", "running", "failed", "failed"],
  ["error", "failed", "failed", "failed"],
  ["inconclusive", "error", "error", "error"],
  ["inconclusive", "successful", "inconclusive", "inconclusive"],
  ["inconclusive", "running", "inconclusive", "inconclusive"],
];
for (const [a, b, whole, ended] of runs) {
  test(`assessRun() of ${a} and ${b} is ${whole}, ended early ${ended}`, () => {
    const run = new Map([
      ["a", { ...untouchedMetric, phase: a }],
      ["b", { ...untouchedMetric, phase: b }],
    ]);
    assert.deepEqual([assessRun(run), terminateRun(run)], [whole, ended]);
  });
}

test("beginRun() has measured nothing yet", () => {
  const metric: Metric = { ...defaultMetric, name: "m", provider: { kind: "command", command: ["x"] } };
  assert.deepEqual(beginRun({ metrics: [metric] }), new Map([["m", untouchedMetric]]));
});
