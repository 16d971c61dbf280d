import { isMap, isScalar, parseDocument, type Document } from "yaml";
import { decodeDefinition } from "../../definition/decode.ts";
import { firstTooDeep } from "../../definition/depth.ts";
import { Lines } from "../../definition/lines.ts";
import { definitionError, wholeFile } from "../../definition/problem.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Folder } from "./folder.ts";

export type YamlMap = Readonly<Record<string, unknown>>;

/** Another tool's YAML file. */
export interface YamlFile {
  readonly root: YamlMap;
  /** `compose.yaml line 12`: where a key stands, or the nearest above it. */
  where(path: readonly (string | number)[]): string;
}

/**
 * Reads it with the bounds that definitions have. What is wrong with it is told by place and kind, never by its text: it
 * may hold secrets.
 *
 * @throws {OperatorError} `DEFINITION_INVALID`, `NOT_FOUND`
 */
export function readYamlFile(folder: Folder, file: string): YamlFile {
  const bytes = folder.readBytes(file);
  if (bytes === undefined)
    throw new OperatorError("NOT_FOUND", `Cannot read "${file}": there is no such file here`, {
      hint: "name a compose.yaml, a Procfile or a config/deploy.yml with --from",
    });
  // Lines of Ruby between "<%" and "%>" are a template's, not the file's.
  const text = decodeDefinition(bytes, file).replaceAll(/^[ \t]*<%.*$/gm, "");
  const lines = new Lines(text);
  const tooDeep = firstTooDeep(text);
  if (tooDeep !== undefined)
    throw definitionError(file, [{ ...wholeFile("is nested too deeply"), ...lines.at(tooDeep) }]);
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false, merge: true, logLevel: "silent" });
  const [error] = document.errors;
  if (error !== undefined)
    throw definitionError(file, [{ ...wholeFile(`is not YAML (${error.code})`), ...lines.at(error.pos[0]) }]);
  let root: unknown;
  try {
    root = document.toJS({ maxAliasCount: 100 });
  } catch {
    throw definitionError(file, [wholeFile("has aliases that stand for nothing, or for far too much")]);
  }
  if (!isYamlMap(root)) throw definitionError(file, [wholeFile("must be a mapping")]);
  return { root, where: (path) => `${file} line ${lines.at(offsetOf(document, path)).line}` };
}

function offsetOf(document: Document.Parsed, path: readonly (string | number)[]): number {
  let offset = 0;
  let node: unknown = document.contents;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (pair === undefined) break;
      offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair.value;
    } else {
      const item = document.getIn(path.slice(0, path.indexOf(key) + 1), true);
      offset = rangeOf(item) ?? offset;
      node = item;
    }
  }
  return offset;
}

function rangeOf(node: unknown): number | undefined {
  return typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range)
    ? Number(node.range[0])
    : undefined;
}

export function isYamlMap(value: unknown): value is YamlMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function mapOf(value: unknown): YamlMap {
  return isYamlMap(value) ? value : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A scalar as text. */
export function textOf(value: unknown): string | null {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : null;
}
