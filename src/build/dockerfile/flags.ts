import { nearestName } from "../../model/nearest.ts";
import { InstructionProblem } from "./problems.ts";

/** `--name` or `--name=value` before an instruction's arguments. */
export interface Flag {
  readonly name: string;
  /** null: written without a value. */
  readonly value: string | null;
}

/** Takes the flags off the beginning of an instruction's text; values may be quoted. */
export function takeFlags(text: string, escape: string): { readonly flags: readonly Flag[]; readonly rest: string } {
  const flags: Flag[] = [];
  let at = 0;
  for (;;) {
    while (/\s/.test(text.charAt(at))) at++;
    if (!text.startsWith("--", at)) return { flags, rest: text.slice(at) };
    let word = "";
    let quote = "";
    for (; at < text.length && (quote !== "" || !/\s/.test(text.charAt(at))); at++) {
      const c = text.charAt(at);
      if (c === quote) quote = "";
      else if (quote === "" && (c === "'" || c === '"')) quote = c;
      else if (c === escape && quote !== "'") word += text.charAt(++at);
      else word += c;
    }
    if (word === "--") return { flags, rest: text.slice(at).trimStart() };
    const equals = word.indexOf("=");
    flags.push(
      equals < 0
        ? { name: word.slice(2), value: null }
        : { name: word.slice(2, equals), value: word.slice(equals + 1) },
    );
  }
}

/** What may stand before an instruction's arguments: `text` once, `many` any number of times, `switch` true or false. */
export type FlagKinds = { readonly [name: string]: "text" | "many" | "switch" };

/** An instruction's flags, looked up by name. */
export interface Flags {
  text(name: string): string | null;
  many(name: string): readonly string[];
  switch(name: string): boolean;
}

/** @throws {InstructionProblem} for a flag that the instruction does not have, that stands twice or lacks its value */
export function readFlags(keyword: string, given: readonly Flag[], kinds: FlagKinds): Flags {
  const values = new Map<string, string[]>();
  for (const { name, value } of given) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) {
      const near = nearestName(name, Object.keys(kinds));
      throw new InstructionProblem(
        `${keyword} has no --${name.slice(0, 40)}${near === undefined ? "" : `, did you mean --${near}?`}`,
      );
    }
    if (kind !== "many" && values.has(name)) throw new InstructionProblem(`--${name} stands there twice`);
    if (value === null && kind !== "switch") throw new InstructionProblem(`--${name} needs a value: --${name}=…`);
    if (kind === "switch" && value !== null && !["true", "false"].includes(value.toLowerCase()))
      throw new InstructionProblem(`--${name} is true or false, not "${value.slice(0, 40)}"`);
    values.set(name, [...(values.get(name) ?? []), value ?? "true"]);
  }
  return {
    text: (name) => values.get(name)?.[0] ?? null,
    many: (name) => values.get(name) ?? [],
    switch: (name) => values.get(name)?.[0]?.toLowerCase() === "true",
  };
}
