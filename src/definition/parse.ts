import { parseDocument, type YAMLError } from "yaml";
import type { Definition, DefinitionFile } from "../model/definition.ts";
import { parseAppName } from "../model/names.ts";
import { readApp } from "./app.ts";
import { readApps, readList } from "./apps.ts";
import { maxBytes, tooLarge } from "./decode.ts";
import { firstTooDeep } from "./depth.ts";
import { keySets } from "./keys.ts";
import { Lines } from "./lines.ts";
import { definitionError, wholeFile } from "./problem.ts";
import { Reader, type Place } from "./reader.ts";

/**
 * Parses the text of a definition file and fills in the defaults.
 *
 * @param fileName how problems name the file
 * @throws {OperatorError} `DEFINITION_INVALID`, or `NOT_YET_SUPPORTED` when only keys of later versions stand in the
 *   way; all problems at once, each with line, column and path
 */
export function parseDefinitionFile(text: string, fileName: string): DefinitionFile {
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
  const file = readFile(reader, root, fields);
  if (reader.problems.length > 0 || file === undefined) throw definitionError(fileName, reader.problems);
  return file;
}

/** The same for a file that defines one app. @throws {OperatorError} as {@link parseDefinitionFile} */
export function parseDefinition(text: string, fileName: string): Definition {
  const file = parseDefinitionFile(text, fileName);
  const [only, second] = file.kind === "apps" ? file.definitions : [];
  if (only !== undefined && second === undefined) return only;
  throw definitionError(fileName, [wholeFile("defines several apps, where one is meant")]);
}

function readFile(reader: Reader, root: Place, fields: ReadonlyMap<string, Place>): DefinitionFile | undefined {
  const appsField = fields.get("apps");
  const appField = fields.get("app");
  if (appsField === undefined) {
    const app =
      appField === undefined ? reader.problem(root, "app: NAME is missing") : reader.parsed(appField, parseAppName);
    const read = readApp(reader, root, fields, { app, shared: undefined });
    return read && { kind: "apps", definitions: [read.definition], needs: read.needs };
  }
  const isList = reader.isList(appsField);
  for (const [name, field] of fields) {
    if (name === "apps" || (name === "environments" && !isList)) continue;
    const where = isList ? "one of the definitions that are listed" : "each app, apps.NAME";
    reader.problemAt(field.offset, field.path, `with apps: this belongs into ${where}`);
  }
  if (isList) return { kind: "list", paths: readList(reader, appsField) };
  const read = readApps(reader, appsField, fields.get("environments"));
  return {
    kind: "apps",
    definitions: read.map(({ definition }) => definition),
    needs: read.flatMap(({ needs }) => needs),
  };
}

/** YAML errors that are told; one of them often brings on the others. */
const mostErrors = 20;

function plainMessage({ code, message }: YAMLError): string {
  if (code === "MULTIPLE_DOCS") return "a second document begins here; a definition is one";
  return `is not YAML: ${message.split("\n")[0] ?? ""}`;
}
