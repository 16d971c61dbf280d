/**
 * The expression for a shell pattern as Dockerfile variables have it: `*` any text, `?` one character, no brackets.
 *
 * @throws {SyntaxError} for an escape before anything but `*`, `?`, `\`, `}` and `/`
 */
export function matchPattern(
  pattern: string,
  options: { readonly greedy: boolean; readonly at: "start" | "whole" | "anywhere"; readonly all: boolean },
): RegExp {
  const any = options.greedy ? ".*" : ".*?";
  let source = "";
  const characters = Array.from(pattern);
  for (let i = 0; i < characters.length; i++) {
    const c = characters[i] ?? "";
    if (c === "*") source = source.endsWith(any) ? source : source + any;
    else if (c === "?") source += ".";
    else if (c === "\\") {
      const next = characters[++i] ?? "";
      if (!["*", "?", "\\", "}", "/"].includes(next))
        throw new SyntaxError(`"${c}${next}" in the pattern "${pattern}" means nothing`);
      source += literal(next);
    } else source += literal(c);
  }
  const start = options.at === "anywhere" ? "" : "^";
  return new RegExp(`${start}${source}${options.at === "whole" ? "$" : ""}`, options.all ? "gsu" : "su");
}

function literal(c: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(c) ? `\\${c}` : c;
}
