/** A line of a dotenv file that cannot be read. */
export interface DotenvProblem {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export interface Dotenv {
  /** In the order written. */
  readonly entries: readonly { readonly name: string; readonly value: string; readonly line: number }[];
  readonly problems: readonly DotenvProblem[];
}

const escapes: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/**
 * Reads `NAME=value` lines. Comments begin with `#`, at a line's start or after a space; `export` before a name is
 * ignored. Values may stand in 'single' quotes, as they are, or in "double" ones, where a backslash escapes and \n, \r and
 * \t are control characters; both may go over several lines. Nothing is put in for `$NAME`. What cannot be read is a
 * problem, never left out.
 */
export function parseDotenv(text: string): Dotenv {
  const entries: { name: string; value: string; line: number }[] = [];
  const problems: DotenvProblem[] = [];
  const source = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  let at = 0;
  let line = 1;
  while (at < source.length) {
    const end = lineEnd(source, at);
    const written = source.slice(at, end);
    const head = /^[ \t]*(?:export[ \t]+)?([^\s=#'"]+)[ \t]*=[ \t]*/.exec(written);
    let next = end;
    if (head === null) {
      if (!/^[ \t]*(#.*)?$/.test(written)) problems.push({ line, message: "must be NAME=value, or a comment after #" });
    } else {
      const value = readValue(source, at + head[0].length, end);
      if (typeof value === "string") problems.push({ line, message: value });
      else {
        next = value.end;
        entries.push({ name: head[1] ?? "", value: value.text, line });
      }
    }
    line += source.slice(at, next + 1).split("\n").length - 1;
    at = next + 1;
  }
  return { entries, problems };
}

/** A value and where its line ends, or what is wrong with it. */
function readValue(
  source: string,
  from: number,
  end: number,
): { readonly text: string; readonly end: number } | string {
  const quote = source[from];
  if (quote !== "'" && quote !== '"') {
    const plain = source.slice(from, end).replace(/(^|[ \t])#.*$/, "");
    return { text: plain.trimEnd(), end };
  }
  let text = "";
  let at = from + 1;
  for (; at < source.length && source[at] !== quote; at += 1) {
    const character = source[at] ?? "";
    if (quote === '"' && character === "\\" && at + 1 < source.length) {
      at += 1;
      const escaped = source[at] ?? "";
      text += escapes.get(escaped) ?? escaped;
    } else text += character;
  }
  if (at >= source.length) return `the quote ${quote} that begins here is never closed`;
  const lastEnd = lineEnd(source, at);
  if (!/^[ \t]*(#.*)?$/.test(source.slice(at + 1, lastEnd))) return "something stands after the closing quote";
  return { text, end: lastEnd };
}

function lineEnd(source: string, from: number): number {
  const end = source.indexOf("\n", from);
  return end < 0 ? source.length : end;
}
