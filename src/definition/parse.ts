import { parseDocument, type YAMLError } from "yaml";
import { defaultEnvironmentSettings } from "../model/content.ts";
import type { Definition } from "../model/definition.ts";
import { parseAppName } from "../model/names.ts";
import { optional, readBuild } from "./build.ts";
import { readConfig } from "./config.ts";
import { readEnvironments, readRoute } from "./environments.ts";
import { maxBytes, tooLarge } from "./decode.ts";
import { firstTooDeep } from "./depth.ts";
import { keySets } from "./keys.ts";
import { Lines } from "./lines.ts";
import { definitionError, wholeFile } from "./problem.ts";
import { readProcesses } from "./processes.ts";
import { Reader } from "./reader.ts";
import { readChecks, readRelease, readTests } from "./tasks.ts";
import { checkVolumes } from "./volumes.ts";

/**
 * Parses the text of a `bronze.yaml` and fills in the defaults.
 *
 * @param fileName how problems name the file
 * @throws {OperatorError} `DEFINITION_INVALID`, or `NOT_YET_SUPPORTED` when only keys of later versions stand in the
 *   way; all problems at once, each with line, column and path
 */
export function parseDefinition(text: string, fileName: string): Definition {
  if (text.length > maxBytes) throw tooLarge(fileName);
  // The library's own counter misses lines in some broken texts.
  const lines = new Lines(text);
  const tooDeep = firstTooDeep(text);
  if (tooDeep !== undefined)
    throw definitionError(fileName, [{ ...wholeFile("is nested too deeply"), ...lines.at(tooDeep) }]);
  // The library's own look for doubled keys takes a time that grows with the square of their number; the reader has one.
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false, version: "1.2" });
  const reader = new Reader(document, lines);
  for (const error of [...document.errors, ...document.warnings].slice(0, mostErrors))
    reader.problemAt(error.pos[0], "", plainMessage(error));
  if (document.errors.length > 0) throw definitionError(fileName, reader.problems);

  const root = reader.root();
  const fields = reader.map(root, keySets.top);
  const appField = fields.get("app");
  const buildField = fields.get("build");
  const app =
    appField === undefined ? reader.problem(root, "app: NAME is missing") : reader.parsed(appField, parseAppName);
  const build =
    buildField === undefined
      ? reader.problem(root, "build: is missing; it says what to build")
      : readBuild(reader, buildField);
  const routeField = fields.get("route");
  const route = routeField === undefined ? defaultEnvironmentSettings.route : readRoute(reader, routeField);
  const release = optional(fields, "release", (field) => readRelease(reader, field));
  const processes = readProcesses(reader, fields);
  const run = { ...processes.run, ...(release === undefined ? {} : { release }) };
  const tests = optional(fields, "tests", (field) => readTests(reader, field)) ?? [];
  const checks = optional(fields, "checks", (field) => readChecks(reader, field)) ?? [];
  const config = optional(fields, "config", (field) => readConfig(reader, field));
  const shared = { route, ...(checks.length === 0 ? {} : { checks }) };
  const environments = readEnvironments(reader, fields.get("environments"), shared, processes.counts);
  if (app !== undefined) checkVolumes(reader, root, { app, run, environments });
  if (reader.problems.length > 0 || app === undefined || build === undefined)
    throw definitionError(fileName, reader.problems);
  return {
    app,
    build,
    run,
    ...(tests.length === 0 ? {} : { tests }),
    ...(config === undefined ? {} : { config }),
    environments,
  };
}

/** YAML errors that are told; one of them often brings on the others. */
const mostErrors = 20;

function plainMessage({ code, message }: YAMLError): string {
  if (code === "MULTIPLE_DOCS") return "a second document begins here; a definition is one";
  return `is not YAML: ${message.split("\n")[0] ?? ""}`;
}
