import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigReport } from "../model/api/releases.ts";
import { parseAppName, parseEnvironmentName } from "../model/names.ts";
import { renderConfig } from "./config.ts";
import { renderOverrides } from "./overrides.ts";

const long = "x".repeat(100);
const report: ConfigReport = {
  app: parseAppName("shop"),
  environment: parseEnvironmentName("production"),
  release: 3,
  version: 2,
  config: { LEVEL: "debug", LINES: "a\nb", COLOUR: "\u001b[31mred", LONG: long, EMPTY: "" },
  overrides: [
    { name: "GONE", value: null, defined: "x" },
    { name: "LEVEL", value: "debug", defined: "info" },
    { name: "LINES", value: "a\nb", defined: null },
  ],
};

test("`renderConfig()` shows each variable in one line, with where it comes from", () => {
  const [heading, names, ...rows] = renderConfig(report, "short").map((line) => line.replaceAll(/ {2,}/g, "|"));
  assert.equal(heading, "config 2 of v3, shop production");
  assert.equal(names, "NAME|VALUE|FROM");
  assert.deepEqual(rows, [
    'COLOUR|"\\u001b[31mred"|definition',
    'EMPTY|""|definition',
    "GONE|(absent)|override (definition: x)",
    "LEVEL|debug|override (definition: info)",
    'LINES|"a\\nb"|override (not in the definition)',
    `LONG|${"x".repeat(60)}…|definition`,
  ]);
  assert.ok(renderConfig(report, "whole").some((line) => line.includes(long)));
});

test("`renderOverrides()` is one line, and none without overrides", () => {
  assert.deepEqual(renderOverrides(report.overrides), [
    'config overridden: GONE absent (definition: x), LEVEL=debug (definition: info), LINES="a\\nb" (not in the definition)',
  ]);
  assert.deepEqual(renderOverrides([]), []);
});
