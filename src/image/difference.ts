import { printableLine } from "../errors/redact.ts";
import type { Json } from "../model/canonical.ts";

/** One thing in which two archives or documents differ. */
export interface Difference {
  /** A member's path as bytes, or a field's place in a document: `config.Env[2]`. */
  readonly path: string;
  /**
   * `presence`: only one has it. `order`: members do not follow each other by their bytes. Header fields of tar by their
   * names. `encoding`: all members are equal, but not the bytes around them. `value`: of a document.
   */
  readonly field:
    | "presence"
    | "order"
    | "kind"
    | "mode"
    | "uid"
    | "gid"
    | "mtime"
    | "size"
    | "target"
    | "attributes"
    | "content"
    | "encoding"
    | "value";
  /** What the first has there, on one line, shortened. */
  readonly first: string;
  readonly second: string;
  /** Of the first byte that differs, from 0; of contents and encodings. */
  readonly offset?: number;
  /** The line it is in, from 1; of contents that are text. */
  readonly line?: number;
}

const mostShown = 160;

/** A piece of a value that fits on a line. */
export function shorten(text: string): string {
  const line = printableLine(text);
  return line.length <= mostShown ? line : `${line.slice(0, mostShown)}…`;
}

/** Where two JSON documents differ, field by field, in the order of their keys. */
export function diffJson(first: Json | undefined, second: Json | undefined, path = ""): readonly Difference[] {
  if (isObject(first) && isObject(second)) {
    const keys = [...new Set([...Object.keys(first), ...Object.keys(second)])].sort();
    return keys.flatMap((key) => diffJson(own(first, key), own(second, key), path === "" ? key : `${path}.${key}`));
  }
  if (Array.isArray(first) && Array.isArray(second)) {
    const [one, two]: readonly (readonly Json[])[] = [first, second];
    return Array.from({ length: Math.max(first.length, second.length) }, (_, index) =>
      diffJson(one?.[index], two?.[index], `${path}[${index}]`),
    ).flat();
  }
  const [shownFirst, shownSecond] = [JSON.stringify(first) ?? "absent", JSON.stringify(second) ?? "absent"];
  if (shownFirst === shownSecond) return [];
  const field = first === undefined || second === undefined ? "presence" : "value";
  return [{ path, field, first: shorten(shownFirst), second: shorten(shownSecond) }];
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(value: { readonly [key: string]: Json | undefined }, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
