import assert from "node:assert/strict";
import test from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { parseDefinition } from "./parse.ts";

const text = (...lines: readonly string[]): string =>
  ["app: shop", "build: { dockerfile: Dockerfile }", ...lines, ""].join("\n");

function problemsOf(...lines: readonly string[]): string {
  try {
    parseDefinition(text(...lines), "bronze.yaml");
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError && thrown.cause instanceof Error, String(thrown));
    return thrown.cause.message;
  }
  return assert.fail("a problem was expected");
}

test("parseDefinition() reads release, tests and checks; an environment's own checks take the place of all others", () => {
  const { run, tests, environments } = parseDefinition(
    text(
      "release: { run: [node, migrate.js], reversible: false, deadline: 90s }",
      "tests: [{ run: [node, --test] }, { run: [npm, test], deadline: 1m, env: { CI: 1 } }]",
      "checks: [{ path: /ready }, { run: [node, check.js] }]",
      "environments:",
      "  staging: {}",
      "  production: { from: staging, checks: [{ path: /, status: 302 }] }",
      "  bare: { checks: [] }",
    ),
    "bronze.yaml",
  );
  assert.deepEqual(run.release, { run: ["node", "migrate.js"], reversible: false, deadlineMs: 90_000 });
  assert.deepEqual(tests, [
    { run: ["node", "--test"], deadlineMs: 300_000, env: {} },
    { run: ["npm", "test"], deadlineMs: 60_000, env: { CI: "1" } },
  ]);
  assert.deepEqual(
    environments.map(({ settings }) => settings.checks),
    [
      [
        { kind: "path", path: "/ready", status: null },
        { kind: "run", run: ["node", "check.js"], deadlineMs: 300_000 },
      ],
      [{ kind: "path", path: "/", status: 302 }],
      undefined,
    ],
  );
});

test("parseDefinition() leaves out what a definition does not use, so that contents keep their digests", () => {
  const { run, tests, environments } = parseDefinition(text("tests: []", "checks: []"), "bronze.yaml");
  assert.deepEqual(["release" in run, tests, "checks" in (environments[0]?.settings ?? {})], [false, undefined, false]);
});

for (const [line, problem] of [
  ["release: { run: [a] }", /release: needs reversible: true or false/],
  ["release: { reversible: true }", /release: needs run: \[node, migrate\.js\]/],
  ["release: { run: node migrate.js, reversible: true }", /release\.run: must be a list of words/],
  ["release: { run: [a], reversible: maybe }", /release\.reversible: must be true or false/],
  ["release: { run: [a], reversible: true, deadline: 0s }", /release\.deadline: must be longer than 0/],
  ["release: { run: [a], reversible: true, undo: [b] }", /release\.undo: unknown key/],
  ["tests: [node, --test]", /tests\[0\]/],
  ["tests: [{ deadline: 1s }]", /tests\[0\]: needs run/],
  ["tests: [{ run: [a], env: { 1A: b } }]", /is not a variable's name/],
  ["tests: [{ run: [a], secrets: [B] }]", /tests\[0\]\.secrets: not yet supported/],
  ["checks: [{ run: [a], path: / }]", /checks\[0\]: needs either run/],
  ["checks: [{ }]", /checks\[0\]: needs either run/],
  ["checks: [{ path: ready }]", /checks\[0\]\.path: must begin with \//],
  ["checks: [{ path: /, status: 42 }]", /checks\[0\]\.status: must be a whole number from 100 to 599/],
  ["checks: [{ path: /, deadline: 1s }]", /checks\[0\]\.deadline: belongs to a check with run: only/],
  ["checks: [{ run: [a], status: 200 }]", /checks\[0\]\.status: belongs to a check with path: only/],
  [
    "run: { release: { run: [a], reversible: true } }",
    /run\.release: unknown key here, "release" belongs under the top level/,
  ],
] as const)
  test(`parseDefinition() refuses ${line}`, () => assert.match(problemsOf(line), problem));
