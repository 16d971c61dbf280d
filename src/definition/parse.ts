import { LineCounter, parseDocument, type Document } from "yaml";
import { defaultEnvironmentSettings } from "../model/content.ts";
import type { Definition } from "../model/definition.ts";
import { parseAppName } from "../model/names.ts";
import { optional, readBuild } from "./build.ts";
import { readEnvironments, readRoute } from "./environments.ts";
import { definitionError, type Problem } from "./problem.ts";
import { Reader } from "./reader.ts";
import { readRun } from "./run.ts";

const maxBytes = 1024 * 1024;
const topKeys = ["app", "build", "route", "run", "environments"];
const laterKeys = [
  "processes",
  "release",
  "tests",
  "config",
  "secrets",
  "policy",
  "volumes",
  "gates",
  "registry",
  "extends",
];

/**
 * Parses the text of a `bronze.yaml` and fills in the defaults.
 *
 * @param fileName how problems name the file
 * @throws {OperatorError} `DEFINITION_INVALID`, or `NOT_YET_SUPPORTED` when only keys of later versions stand in the
 *   way; all problems at once, each with line, column and path
 */
export function parseDefinition(text: string, fileName: string): Definition {
  if (Buffer.byteLength(text) > maxBytes) {
    throw definitionError(fileName, [
      wholeFile("is larger than 1 MiB; a definition names files, it does not hold them"),
    ]);
  }
  const lines = new LineCounter();
  const document = parseYaml(text, fileName, lines);
  const reader = new Reader(document, lines);
  for (const error of [...document.errors, ...document.warnings]) {
    reader.problemAt(
      error.pos[0],
      "",
      error.code === "DUPLICATE_KEY" ? "this key stands twice in one mapping" : plainMessage(error.message),
    );
  }
  if (document.errors.length > 0) throw definitionError(fileName, reader.problems);

  const root = reader.root();
  const fields = reader.map(root, topKeys, laterKeys);
  const appField = fields.get("app");
  const buildField = fields.get("build");
  const app =
    appField === undefined ? reader.problem(root, "app: NAME is missing") : reader.parsed(appField, parseAppName);
  const build =
    buildField === undefined
      ? reader.problem(root, "build: is missing; it says what to build")
      : readBuild(reader, buildField);
  const route = optional(fields, "route", (field) => readRoute(reader, field)) ?? defaultEnvironmentSettings.route;
  const run = readRun(reader, fields.get("run"));
  const environments = readEnvironments(reader, fields.get("environments"), route);
  if (reader.problems.length > 0 || app === undefined || build === undefined)
    throw definitionError(fileName, reader.problems);
  return { app, build, run, environments };
}

function parseYaml(text: string, fileName: string, lineCounter: LineCounter): Document.Parsed {
  try {
    return parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true, version: "1.2" });
  } catch (thrown) {
    // Brackets nested deeper than the stack.
    if (thrown instanceof RangeError) throw definitionError(fileName, [wholeFile("is nested too deeply")]);
    throw thrown;
  }
}

function wholeFile(message: string): Problem {
  return { kind: "invalid", line: 1, column: 1, path: "", message };
}

function plainMessage(message: string): string {
  return `is not YAML: ${message.split("\n")[0] ?? ""}`;
}
