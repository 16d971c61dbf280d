import assert from "node:assert/strict";
import test from "node:test";
import {
  analysedStepMs,
  defaultAnalysis,
  defaultMetric,
  type Analysis,
  type Metric,
  formatCondition,
  holds,
  parseCondition,
  substitute,
  unknownWord,
} from "./analysis.ts";

test("parseCondition() reads one comparison of one value", () => {
  for (const [text, printed] of [
    ["result < 0.05", "result < 0.05"],
    ["result<=5%", "result <= 0.05"],
    ["p99 <= 300", "result <= 300"],
    ["status == 200", "status == 200"],
    ["result != -1", "result != -1"],
    ["result in 1..10", "result in 1..10"],
    ["result in 99%..100%", "result in 0.99..1"],
    [" result > 1e-6 ", "result > 0.000001"],
  ] as const)
    assert.equal(formatCondition(parseCondition(text, "p99")), printed);
});

test("parseCondition() refuses whatever is more than that", () => {
  for (const text of [
    "",
    "result",
    "result < ",
    "result = 1",
    "result < 1 && status == 200",
    "result < baseline",
    "process.exit(1) < 1",
    "result < 0x10",
    "result < Infinity",
    "result < 1e999",
    "p50 < 3",
    "result in 10..1",
    `${"9".repeat(400)} < result`,
  ])
    assert.throws(() => parseCondition(text, "p99"), { code: "ARGUMENT_INVALID" }, text);
});

test("holds() compares, both ends of a range included", () => {
  const cases: readonly (readonly [string, number, boolean])[] = [
    ["result < 5", 5, false],
    ["result <= 5", 5, true],
    ["result > 5", 5, false],
    ["result >= 5", 5, true],
    ["result == 5", 5, true],
    ["result != 5", 5, false],
    ["result in 5..6", 5, true],
    ["result in 5..6", 6, true],
    ["result in 5..6", 6.1, false],
  ];
  for (const [text, value, expected] of cases) assert.equal(holds(parseCondition(text), value), expected, text);
});

test("substitute() replaces known words only, and unknownWord() names the first that is not", () => {
  const words = {
    release: "v2",
    set: "shop-production-v2",
    live: "shop-production-v1",
    app: "shop",
    environment: "production",
  };
  const query = 'rate(errors{release="$release",was!="$live",path=~"/a$"}[1m])';
  assert.equal(unknownWord(query), undefined);
  assert.equal(substitute(query, words), 'rate(errors{release="v2",was!="shop-production-v1",path=~"/a$"}[1m])');
  assert.equal(unknownWord("$releas $x"), "releas");
  assert.equal(substitute("$toString", words), "$toString");
});

test("analysedStepMs() is as long as the hold, and until all is measured", () => {
  const metric = (change: Partial<Metric>): Analysis => ({
    metrics: [{ ...defaultMetric, name: "m", provider: { kind: "command", command: ["x"] }, ...change }],
  });
  const router = { kind: "router", quantity: "p99" } as const;
  const cases: readonly (readonly [Analysis, number, number])[] = [
    [defaultAnalysis, 120_000, 120_000],
    [defaultAnalysis, 0, 10_000],
    [metric({ count: 5, intervalMs: 30_000, initialDelayMs: 7_000 }), 0, 128_000],
    [metric({ count: 5, intervalMs: 30_000 }), 600_000, 600_000],
    [metric({ provider: router, intervalMs: 30_000 }), 0, 31_000],
    [metric({ provider: router, intervalMs: 30_000, count: 2 }), 0, 61_000],
  ];
  for (const [analysis, holdMs, expected] of cases) assert.equal(analysedStepMs(analysis, holdMs), expected);
});
