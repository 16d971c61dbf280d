import assert from "node:assert/strict";
import test from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { defaultAnalysis } from "../model/analysis.ts";
import { strategyNamed, type Strategy } from "../model/strategy.ts";
import { parseDefinition } from "./parse.ts";

const smallest = "app: shop\nbuild: { dockerfile: Dockerfile }\n";
const written = (strategy: string): string => `${smallest}environments: { production: { strategy: ${strategy} } }\n`;

function strategyOf(text: string): Strategy | undefined {
  return parseDefinition(written(text), "bronze.yaml").environments[0]?.settings.strategy;
}

const read: readonly (readonly [string, Strategy])[] = [
  ["recreate", { kind: "recreate" }],
  ["rolling", { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%" }],
  ["{ rolling: { maxSurge: 1, maxUnavailable: 0 } }", { kind: "rolling", maxSurge: 1, maxUnavailable: 0 }],
  ["{ rolling: { maxSurge: 100% } }", { kind: "rolling", maxSurge: "100%", maxUnavailable: "25%" }],
  ["{ rolling: { maxSurge: 250% } }", { kind: "rolling", maxSurge: "250%", maxUnavailable: "25%" }],
  ["{ recreate: }", { kind: "recreate" }],
  ["blue-green", { kind: "blue-green", holdMs: 0 }],
  ["{ blue-green: { hold: 10m } }", { kind: "blue-green", holdMs: 600_000 }],
  [
    "{ blue-green: { hold: person, preview: Next.Shop.example/a } }",
    { kind: "blue-green", holdMs: null, preview: { host: "next.shop.example", path: "/a/" } },
  ],
  ["canary", strategyNamed("canary")],
  [
    "{ canary: { steps: [50], analysis: none } }",
    { kind: "canary", steps: [{ weight: 5_000, holdMs: 120_000, analyse: true }] },
  ],
  [
    "{ rolling: { analysis: default } }",
    { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%", analysis: defaultAnalysis },
  ],
  [
    "{ blue-green: { analysis: [errors], hold: 1m } }",
    { kind: "blue-green", holdMs: 60_000, analysis: defaultAnalysis },
  ],
  [
    "{ blue-green: { analysis: [errors], preview: next.example } }",
    { kind: "blue-green", holdMs: 0, preview: { host: "next.example", path: "/" }, analysis: defaultAnalysis },
  ],
  [
    "{ canary: { steps: [5, { weight: 25, hold: person, analyse: false }, 50%], each: 30s } }",
    {
      kind: "canary",
      steps: [
        { weight: 500, holdMs: 30_000, analyse: true },
        { weight: 2_500, holdMs: null, analyse: false },
        { weight: 5_000, holdMs: 30_000, analyse: true },
      ],
      analysis: defaultAnalysis,
    },
  ],
  [
    "{ canary: { steps: [0.25, 100] } }",
    {
      kind: "canary",
      steps: [
        { weight: 25, holdMs: 120_000, analyse: true },
        { weight: 10_000, holdMs: 120_000, analyse: true },
      ],
      analysis: defaultAnalysis,
    },
  ],
];
for (const [text, strategy] of read) {
  test(`parseDefinition() reads strategy: ${text}`, () => {
    assert.deepEqual(strategyOf(text), strategy);
  });
}

const refused: readonly (readonly [string, RegExp])[] = [
  ["rollin", /:3:41 .*strategy: unknown strategy "rollin", did you mean "rolling"\?/],
  ["{ canari: {} }", /:3:43 .*strategy\.canari: unknown key, did you mean "canary"\?/],
  ["{ rolling: {}, canary: {} }", /one strategy/],
  ["{ rolling: { maxSurge: 0, maxUnavailable: 0% } }", /both 0/],
  [
    "{ rolling: { maxSurge: 1001% } }",
    /maxSurge: must be a number of instances up to 256, or a percentage from 0% to 1000%/,
  ],
  ["{ rolling: { maxSurge: 257 } }", /maxSurge: must be a number of instances up to 256/],
  ["{ rolling: { maxUnavailable: 101% } }", /maxUnavailable: must be .* percentage from 0% to 100%/],
  ["{ rolling: { maxSurge: 01% } }", /maxSurge: must be a number/],
  ["{ rolling: { surge: 1 } }", /rolling\.surge: unknown key/],
  ["{ blue-green: { hold: nobody } }", /blue-green\.hold: Cannot use "nobody" as a duration/],
  ["{ blue-green: { preview: 'a b' } }", /blue-green\.preview: must be a host name/],
  ["{ canary: { steps: [25, 5] } }", /:3:65 .*steps\[1\]: must be more than the step before it/],
  ["{ canary: { steps: [0] } }", /steps\[0\]: must be a percentage of the requests from 0\.01 to 100/],
  ["{ canary: { steps: [] } }", /canary\.steps: needs a step/],
  ["{ canary: { steps: 5 } }", /^[^\n]*canary\.steps: must be a list, like \[5, 25, 50\]$/],
  ["{}", /strategy: names none; there are recreate, rolling/],
  ["{ recreate: 5m }", /recreate: has nothing to set/],
  ["{ recreate: [] }", /recreate: has nothing to set/],
  ["{ blue-green: { hold: persn } }", /hold: Cannot use "persn" as a duration; did you mean "person"\?/],
  ["{ blue-green: { hold: 10 } }", /did you mean 10s\?.*; person: until someone resumes/],
  [
    "{ blue-green: { analysis: default } }",
    /:3:67 .*blue-green\.analysis: "errors" is counted by the router, and nobody asks .*; give it preview: HOST or a hold:/,
  ],
  ["{ blue-green: { analysis: [{ http: / }, { router: p99, success: p99 < 300 }] } }", /analysis: "p99" is counted/],
  ["{ canary: { steps: [{ hold: 1m }] } }", /steps\[0\]: needs weight: 5/],
];
for (const [text, message] of refused) {
  test(`parseDefinition() refuses strategy: ${text}, with line and column`, () => {
    assert.throws(
      () => strategyOf(text),
      (error: unknown) => {
        assert.ok(error instanceof OperatorError && error.cause instanceof Error);
        assert.match(error.cause.message, message);
        return true;
      },
    );
  });
}
