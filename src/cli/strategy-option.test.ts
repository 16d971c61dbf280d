import assert from "node:assert/strict";
import test from "node:test";
import { defaultAnalysis } from "../model/analysis.ts";
import { plainStrategy, strategyNamed, type Strategy } from "../model/strategy.ts";
import { parseStrategy } from "./strategy-option.ts";

const step = (weight: number, holdMs: number | null): object => ({ weight, holdMs, analyse: true });

test("parseStrategy() reads a name, and what is different from what the name means", () => {
  const cases: readonly (readonly [string, object])[] = [
    ["recreate", { kind: "recreate" }],
    ["rolling", { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%" }],
    ["rolling:1/0", { kind: "rolling", maxSurge: 1, maxUnavailable: 0 }],
    ["rolling:100%/25%", { kind: "rolling", maxSurge: "100%", maxUnavailable: "25%" }],
    ["blue-green", { kind: "blue-green", holdMs: 0 }],
    ["blue-green:10m", { kind: "blue-green", holdMs: 600_000 }],
    ["blue-green:person", { kind: "blue-green", holdMs: null }],
    [
      "canary:5,12.5%@90s,50@person",
      {
        kind: "canary",
        steps: [step(500, 120_000), step(1_250, 90_000), step(5_000, null)],
        analysis: defaultAnalysis,
      },
    ],
    ["canary", strategyNamed("canary")],
  ];
  for (const [text, wanted] of cases) assert.deepEqual(parseStrategy(text, plainStrategy), wanted, text);
});

test("parseStrategy() keeps what the definition says of the same strategy", () => {
  const preview = { host: "next.shop.example", path: "/" };
  const defined: Strategy = { kind: "blue-green", holdMs: null, preview };
  assert.deepEqual(parseStrategy("blue-green", defined), defined);
  assert.deepEqual(parseStrategy("blue-green:5s", defined), { ...defined, holdMs: 5_000 });
  assert.deepEqual(parseStrategy("rolling", defined), strategyNamed("rolling"));
  const steps = [
    { weight: 500, holdMs: 20_000, analyse: true },
    { weight: 2_500, holdMs: null, analyse: false },
  ];
  const canary: Strategy = { kind: "canary", steps, analysis: defaultAnalysis };
  assert.deepEqual(parseStrategy("canary:1,10,30,60@5s", canary), {
    ...canary,
    steps: [
      { weight: 100, holdMs: 20_000, analyse: true },
      { weight: 1_000, holdMs: 20_000, analyse: true },
      { weight: 3_000, holdMs: null, analyse: false },
      { weight: 6_000, holdMs: 5_000, analyse: false },
    ],
  });
});

test("parseStrategy() says what is wrong and how it is written", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["rollling", /did you mean "rolling"\?/],
    ["", /no such strategy/],
    ["recreate:1", /nothing to set/],
    ["rolling:1", /two amounts needed/],
    ["rolling:1/2/3", /two amounts needed/],
    ["rolling:0/0%", /no instance could be replaced/],
    ["rolling:1/101%", /"101%" is neither/],
    ["rolling:257/0", /"257" is neither a number of instances up to 256/],
    [`canary:${Array.from({ length: 101 }, (_, at) => at / 2 + 1).join(",")}`, /101 steps, at most 100/],
    ["blue-green:soon", /"soon" is neither a duration/],
    ["canary:", /"" is no step/],
    ["canary:5,5", /5 is not more than the step before/],
    ["canary:0", /"0" is no step/],
    ["canary:100.01", /is no step/],
    ["canary:5@1m@2m", /is no step/],
    ["canary:5@never", /"never" is neither/],
  ];
  for (const [text, message] of cases)
    assert.throws(() => parseStrategy(text, plainStrategy), { code: "USAGE", message }, text);
  const held: Strategy = { kind: "blue-green", holdMs: 60_000, analysis: defaultAnalysis };
  assert.throws(() => parseStrategy("blue-green:0s", held), {
    code: "USAGE",
    message: /"errors", which the router counts/,
  });
});
