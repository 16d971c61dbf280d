import { isAlias, isMap, isScalar, isSeq, type Document, type Node } from "yaml";
import { OperatorError } from "../errors/operator-error.ts";
import { printableLine } from "../errors/redact.ts";
import type { DefinitionPlace } from "../model/definition.ts";
import { nearestName } from "../model/nearest.ts";
import { adviseKey, type KeySet } from "./keys.ts";
import type { Lines } from "./lines.ts";
import type { Problem } from "./problem.ts";

/** A place in the document: what stands there, and how people call it. */
export interface Place {
  readonly node: Node | null;
  readonly path: string;
  /** Where to point when the value is missing or empty. */
  readonly offset: number;
}

const maxItems = 1000;
/** Longest name that is repeated in full, in characters. */
const mostShown = 80;

/** Reads typed values from places and collects every problem instead of stopping at the first. */
export class Reader {
  readonly problems: Problem[] = [];
  readonly #known = new Set<string>();
  readonly #document: Document.Parsed;
  readonly #lines: Lines;

  constructor(document: Document.Parsed, lines: Lines) {
    this.#document = document;
    this.#lines = lines;
  }

  root(): Place {
    return { node: this.#document.contents, path: "", offset: 0 };
  }

  problem(place: Place, message: string, kind: Problem["kind"] = "invalid"): undefined {
    this.problemAt(place.node?.range?.[0] ?? place.offset, place.path, message, kind);
  }

  problemAt(offset: number, path: string, message: string, kind: Problem["kind"] = "invalid"): void {
    this.#add({ kind, ...this.#lines.at(offset), path, message });
  }

  /** What several apps share is read once for each, and wrong once. */
  #add(problem: Problem): void {
    const printable = { ...problem, path: printableLine(problem.path), message: printableLine(problem.message) };
    const key = `${printable.line}:${printable.column} ${printable.path} ${printable.message}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.problems.push(printable);
  }

  /** What an alias stands for; every other node is itself. */
  #plain(place: Place): Node | null {
    if (!isAlias(place.node)) return place.node;
    const target = place.node.resolve(this.#document);
    if (target === undefined) this.problem(place, `nothing is anchored as "${place.node.source}"`);
    return target ?? null;
  }

  isMap(place: Place): boolean {
    return isMap(this.#plain(place));
  }

  /** Whether a scalar that reads so stands there. */
  isText(place: Place, text: string): boolean {
    const node = this.#plain(place);
    return isScalar(node) && node.value === text;
  }

  /** Whether a mapping without keys stands there. */
  isEmpty(place: Place): boolean {
    const node = this.#plain(place);
    return isMap(node) && node.items.length === 0;
  }

  /** Whether nothing stands there, as after `key:`. */
  isNothing(place: Place): boolean {
    const node = this.#plain(place);
    return node === null || (isScalar(node) && node.value === null);
  }

  startsWith(place: Place, text: string): boolean {
    const node = this.#plain(place);
    return isScalar(node) && typeof node.value === "string" && node.value.startsWith(text);
  }

  isList(place: Place): boolean {
    return isSeq(this.#plain(place));
  }

  /**
   * A mapping with known keys. Unknown keys are problems that say where they belong or name the nearest known one; keys
   * of later versions say so. `null`: any key.
   */
  map(place: Place, keys: KeySet | null): ReadonlyMap<string, Place> {
    const node = this.#plain(place);
    const entries = new Map<string, Place>();
    if (node === null || (isScalar(node) && node.value === null)) return entries;
    if (!isMap(node)) {
      this.problem(place, `must be a mapping${keys === null ? "" : ` with the keys ${keys.known.join(", ")}`}`);
      return entries;
    }
    if (node.items.length > maxItems) this.problem(place, `has ${node.items.length} keys, at most ${maxItems} taken`);
    const seen = new Set<string>();
    for (const { key, value } of node.items.slice(0, maxItems)) {
      const keyNode = key as Node;
      const offset = keyNode.range?.[0] ?? place.offset;
      if (!isScalar(keyNode) || typeof keyNode.value !== "string") {
        this.problemAt(offset, place.path, "keys must be plain text");
        continue;
      }
      const name = keyNode.value;
      const shown = name.length > mostShown ? `${name.slice(0, mostShown)}…` : name;
      const path = place.path === "" ? shown : `${place.path}.${shown}`;
      if (seen.has(name)) this.problemAt(offset, path, "this key stands twice in one mapping");
      else if (keys === null || keys.known.includes(name)) {
        entries.set(name, { node: value as Node | null, path, offset });
      } else if (keys.later.includes(name)) {
        this.problemAt(offset, path, "not yet supported by this version", "later");
      } else this.problemAt(offset, path, adviseKey(name, keys, place.path));
      seen.add(name);
    }
    return entries;
  }

  /** What stands below some keys, without a word about what does not: the last place that is there. */
  find(from: Place, keys: readonly string[]): Place {
    let place = from;
    for (const name of keys) {
      const node = isAlias(place.node) ? place.node.resolve(this.#document) : place.node;
      const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === name) : undefined;
      if (pair === undefined) return place;
      const offset = (pair.key as Node).range?.[0] ?? place.offset;
      place = { node: pair.value as Node | null, path: place.path === "" ? name : `${place.path}.${name}`, offset };
    }
    return place;
  }

  /** Line, column and path of a place, for problems that are found later. */
  at(place: Place): DefinitionPlace {
    return { ...this.#lines.at(place.node?.range?.[0] ?? place.offset), path: place.path };
  }

  problemHere(place: DefinitionPlace, message: string): void {
    this.#add({ kind: "invalid", ...place, message });
  }

  list(place: Place): readonly Place[] {
    const node = this.#plain(place);
    if (!isSeq(node)) {
      this.problem(place, "must be a list, [a, b]");
      return [];
    }
    if (node.items.length > maxItems) this.problem(place, `has more than ${maxItems} items`);
    return node.items.slice(0, maxItems).map((item, index) => {
      const itemNode = item as Node | null;
      return { node: itemNode, path: `${place.path}[${index}]`, offset: itemNode?.range?.[0] ?? place.offset };
    });
  }

  /** Text; numbers and booleans are taken as written. */
  text(place: Place): string | undefined {
    const node = this.#plain(place);
    if (!isScalar(node) || node.value === null || node.value === "")
      return this.problem(place, "must be text that is not empty");
    const text = typeof node.value === "string" ? node.value : (node.source ?? "");
    // oxlint-disable-next-line no-control-regex -- control characters are what this refuses
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text)) return this.problem(place, "must not hold control characters");
    if (text.length > 4096) return this.problem(place, "is longer than 4096 characters");
    return text;
  }

  /** Text that may be empty when it is written as such, in quotes. */
  anyText(place: Place): string | undefined {
    const node = this.#plain(place);
    return isScalar(node) && node.value === "" ? "" : this.text(place);
  }

  /** Text of any length and of several lines; it may be empty when it is written as such. */
  longText(place: Place): string | undefined {
    const node = this.#plain(place);
    if (!isScalar(node) || node.value === null) return this.problem(place, 'must be text; for none write ""');
    return typeof node.value === "string" ? node.value : (node.source ?? "");
  }

  texts(place: Place): readonly string[] {
    return this.list(place).flatMap((item) => this.text(item) ?? []);
  }

  number(
    place: Place,
    range: { readonly min: number; readonly max: number; readonly integer: boolean },
  ): number | undefined {
    const node = this.#plain(place);
    const value = isScalar(node) ? node.value : undefined;
    const wanted = `must be a ${range.integer ? "whole number" : "number"} from ${range.min} to ${range.max}`;
    if (typeof value === "string" && value !== "") {
      const advice = /^[0-9]+(\.[0-9]+)?$/.test(value) ? "; write it without quotes" : "";
      return this.problem(place, `${wanted}, not the text "${value.slice(0, mostShown)}"${advice}`);
    }
    if (typeof value !== "number" || !(value >= range.min && value <= range.max)) return this.problem(place, wanted);
    if (range.integer && !Number.isInteger(value)) return this.problem(place, wanted);
    // 010 is ten to YAML 1.2 and eight to YAML 1.1, and 0x50 is seldom meant.
    const written = isScalar(node) ? (node.source ?? "") : "";
    if (!/^(0|[1-9][0-9]*)?(\.[0-9]+)?$/.test(written))
      return this.problem(place, `must be written in plain digits: ${value}, not ${written.slice(0, mostShown)}`);
    return value;
  }

  boolean(place: Place): boolean | undefined {
    const node = this.#plain(place);
    if (isScalar(node) && typeof node.value === "boolean") return node.value;
    return this.problem(place, "must be true or false");
  }

  /** One word of a few; the nearest one is named. */
  oneOf<const Word extends string>(place: Place, words: readonly Word[]): Word | undefined {
    const text = this.text(place);
    const word = words.find((one) => one === text);
    if (text === undefined || word !== undefined) return word;
    const near = nearestName(text, words);
    const wanted = `must be ${words.slice(0, -1).join(", ")} or ${words.at(-1) ?? ""}`;
    return this.problem(
      place,
      `${wanted}, not "${text.slice(0, mostShown)}"${near === undefined ? "" : `; did you mean "${near}"?`}`,
    );
  }

  /** Text through one of the model's parsers, whose error becomes the problem. */
  parsed<T>(place: Place, parse: (text: string) => T): T | undefined {
    const text = this.text(place);
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (thrown) {
      if (!(thrown instanceof OperatorError)) throw thrown;
      return this.problem(place, `${thrown.message}; ${thrown.hint}`);
    }
  }
}
