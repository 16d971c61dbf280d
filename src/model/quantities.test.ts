import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OperatorError } from "../errors/operator-error.ts";
import { parseDurationMs, parseSizeBytes } from "./quantities.ts";

function hintOf(parse: () => number): string {
  try {
    parse();
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError && thrown.code === "ARGUMENT_INVALID");
    return `${thrown.message}; ${thrown.hint}`;
  }
  throw new Error("was taken");
}

test("parseDurationMs() takes a number and a unit", () => {
  const taken = ["0", "250ms", "1.5s", "10m", "2h", "30d"].map(parseDurationMs);
  assert.deepEqual(taken, [0, 250, 1500, 600_000, 7_200_000, 2_592_000_000]);
});

test("parseSizeBytes() takes a number and a unit, or bytes", () => {
  const taken = ["1", "500M", "256Mi", "1.5Gi", "2k", "2Ki"].map(parseSizeBytes);
  assert.deepEqual(taken, [1, 500_000_000, 268_435_456, 1_610_612_736, 2000, 2048]);
});

const spellings: readonly (readonly [typeof parseDurationMs, string, string])[] = [
  [parseDurationMs, "30", "30s"],
  [parseDurationMs, "30 s", "30s"],
  [parseDurationMs, "5sec", "5s"],
  [parseDurationMs, "10min", "10m"],
  [parseDurationMs, "2 hours", "2h"],
  [parseDurationMs, "250MS", "250ms"],
  [parseSizeBytes, "256MB", "256Mi"],
  [parseSizeBytes, "256mb", "256Mi"],
  [parseSizeBytes, "256 MiB", "256Mi"],
  [parseSizeBytes, "1GB", "1Gi"],
  [parseSizeBytes, "1g", "1Gi"],
  [parseSizeBytes, "4096 bytes", "4096"],
];
for (const [parse, written, right] of spellings) {
  test(`${parse.name}() answers "${written}" with the right spelling`, () => {
    assert.match(
      hintOf(() => parse(written)),
      new RegExp(`did you mean ${right}\\? `),
    );
  });
}

test("parseDurationMs() and parseSizeBytes() say what is too much or nothing", () => {
  assert.match(
    hintOf(() => parseDurationMs("31d")),
    /more than 30d/,
  );
  assert.match(
    hintOf(() => parseSizeBytes("0Mi")),
    /it is nothing/,
  );
  assert.match(
    hintOf(() => parseSizeBytes("9999999999Gi")),
    /more than 1048576Gi/,
  );
  for (const text of ["", "-3s", "1h30m", "0x10", "1e3", "١s", "constructor", "1constructor", "1__proto__"]) {
    assert.doesNotMatch(
      hintOf(() => parseDurationMs(text)),
      /did you mean/,
    );
    if (text !== "") hintOf(() => parseSizeBytes(text));
  }
});

test("parseDurationMs() and parseSizeBytes() give a whole number within their bounds or refuse, whatever the text", () => {
  const text = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.tuple(fc.nat(), fc.constantFrom("", "ms", "s", "d", "Mi", "G", "min")).map(([n, unit]) => `${n}${unit}`),
  );
  fc.assert(
    fc.property(text, (written) => {
      for (const [parse, most] of [
        [parseDurationMs, 30 * 86_400_000],
        [parseSizeBytes, 2 ** 50],
      ] as const) {
        try {
          const value = parse(written);
          assert.ok(Number.isInteger(value) && value >= 0 && value <= most);
        } catch (thrown) {
          if (!(thrown instanceof OperatorError)) throw thrown;
        }
      }
    }),
  );
});
