import type { NotCarriedOver, Variables, Wishes } from "./proposal.ts";
import { commandMayHoldSecret, mayBeSecret } from "./secrets.ts";
import { listOf, mapOf, textOf } from "./yaml-file.ts";

/** A port as a number or a text. */
export function portOf(value: unknown, from: string): Wishes["port"] {
  const port = Number(textOf(value) ?? Number.NaN);
  return Number.isInteger(port) && port >= 1 && port <= 65_535 ? { value: port, from } : null;
}

type Path = readonly (string | number)[];

/**
 * Variables that may be written down: a mapping, or a list of `NAME=value`. Those that may be secrets, come from elsewhere
 * or are templates are left, by name alone.
 */
export function sortVariables(
  value: unknown,
  path: Path,
  leave: (what: string, path: Path, advice: string) => void,
  noun: string,
): Variables {
  const kept: [string, string][] = [];
  for (const { name, text, at } of variablesOf(value)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) continue;
    const place = [...path, at];
    const plain = text === null ? null : interpolated(text);
    if (plain === null || plain.includes("<%"))
      leave(
        `${noun} ${name}`,
        place,
        "its value comes from elsewhere; set one under `config:`, or with ARG in the Dockerfile, unless it is a secret",
      );
    else if (/[\n\r\0]/.test(plain))
      leave(
        `${noun} ${name}`,
        place,
        "it has several lines; name a dotenv file as `config:`, or put it into a file of the image",
      );
    else if (
      /^(development|dev|debug)$/i.test(plain) ||
      (/(^|_)DEBUG$/.test(name) && !/^(0|false|no|off|)$/i.test(plain))
    )
      leave(`${noun} ${name}`, place, "it is for development");
    else if (mayBeSecret(name, plain))
      leave(
        `${noun} ${name}`,
        place,
        `it may be a secret: list it under \`secrets:\`, \`bronze secret set ${name}\` gives it a value`,
      );
    else kept.push([name, plain]);
  }
  return Object.fromEntries(kept);
}

function variablesOf(
  value: unknown,
): readonly { readonly name: string; readonly text: string | null; readonly at: string | number }[] {
  if (Array.isArray(value)) {
    return listOf(value).map((item, at) => {
      const text = textOf(item) ?? "";
      const equals = text.indexOf("=");
      return equals < 0
        ? { name: text, text: null, at }
        : { name: text.slice(0, equals), text: text.slice(equals + 1), at };
    });
  }
  return Object.entries(mapOf(value)).map(([name, item]) => ({ name, text: textOf(item), at: name }));
}

/** `${NAME:-default}` becomes its default, `$$` a dollar; null: the value comes from the environment of the tool. */
export function interpolated(text: string): string | null {
  let known = true;
  const result = text.replaceAll(
    /\$(?:\$|\{[A-Za-z_]\w*(?::?-([^{}$]*))?[^}]*\}|[A-Za-z_]\w*)/g,
    (all, other: string | undefined) => {
      if (all === "$$") return "$";
      if (other === undefined) known = false;
      return other ?? "";
    },
  );
  return known ? result : null;
}

/** What a line says that is not meant for production. */
export const forDevelopment =
  /(^|[\s:-])(dev|watch|develop|debug)(\s|:|$)|nodemon|ts-node-dev|--(reload|watch|inspect(-brk)?|debug)\b|\brunserver\b|\bflask run\b/;

/** Commands that are not taken over, and why; a file with none of them may say how the app is started. */
export function unfitCommands(wishes: Wishes): readonly NotCarriedOver[] {
  return [wishes.start, wishes.entrypoint].flatMap((start) => {
    if (start === null) return [];
    const text = typeof start.line === "string" ? start.line : start.line.join(" ");
    const leave = (advice: string): NotCarriedOver => ({ what: "command", where: start.from, advice });
    if (typeof start.line !== "string" && start.line.includes(""))
      return leave("it has words that are empty or no text; say it in run.command");
    if (commandMayHoldSecret(text))
      return leave("its arguments look like a secret; have the program read it from its environment");
    return forDevelopment.test(text) ? leave("it is for development; what starts the app is looked for elsewhere") : [];
  });
}
