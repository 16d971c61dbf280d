/** A line as people write it for a shell, taken apart where that needs no shell. */
export interface CommandLine {
  /** `NAME=value` before the program. */
  readonly env: readonly (readonly [name: string, value: string])[];
  /** Program and arguments; null: only a shell can run it. */
  readonly words: readonly string[] | null;
  /** The line without the variables before it. */
  readonly rest: string;
}

/**
 * Takes a line apart: quotes and escapes are resolved, and `$PORT` becomes the port. Everything else that a shell would do
 * something about (pipes, lists, substitutions, globs) leaves `words` null.
 *
 * @param port what `$PORT`, `${PORT}` and `${PORT:-3000}` stand for
 */
export function parseCommandLine(line: string, port: number): CommandLine {
  let rest = line
    .trim()
    .replaceAll(/\\\r?\n/g, " ")
    .replaceAll(/\$(?:PORT\b|\{PORT(?::?-[0-9]+)?\})/g, String(port));
  rest = rest.replace(/^(?:npx\s+)?cross-env\s+/, "").replace(/^exec\s+/, "");
  const env: [string, string][] = [];
  for (;;) {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=([A-Za-z0-9_./:@,+%=-]*|"[^"$`\\]*"|'[^']*')\s+(?=\S)/.exec(rest);
    if (match?.[1] === undefined) break;
    env.push([match[1], (match[2] ?? "").replace(/^(["'])(.*)\1$/, "$2")]);
    rest = rest.slice(match[0].length);
  }
  return { env, words: splitWords(rest), rest };
}

function splitWords(line: string): readonly string[] | null {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < line.length; i += 1) {
    const character = line[i] ?? "";
    if (character === "\n") return null;
    if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === "'" || character === '"') {
      const end = line.indexOf(character, i + 1);
      const inner = line.slice(i + 1, end);
      if (end < 0 || (character === '"' && /[$`\\]/.test(inner))) return null;
      word = (word ?? "") + inner;
      i = end;
    } else if (character === "\\") {
      i += 1;
      if (i >= line.length) return null;
      word = (word ?? "") + (line[i] ?? "");
    } else if (/[|&;<>()$`*?[\]#~!{}]/.test(character)) {
      return null;
    } else word = (word ?? "") + character;
  }
  if (word !== undefined) words.push(word);
  // A definition has no empty words.
  return words.length === 0 || words.includes("") ? null : words;
}

/** A port that a command's arguments name: `--port 3000`, `--bind 0.0.0.0:8000`, `-b :5000`. */
export function portOfCommand(line: string): number | undefined {
  const match =
    /(?:^|\s)(?:--(?:server\.)?port|-p|--http)[= ]\s*:?([0-9]{2,5})(?=\s|$)/.exec(line) ??
    /(?:^|\s)(?:--bind|-b|--address|--listen|-l)[= ]\s*\S*?:([0-9]{2,5})(?=\s|$)/.exec(line) ??
    /\$\{PORT:?-([0-9]{2,5})\}/.exec(line);
  const port = Number(match?.[1]);
  return port >= 1 && port <= 65_535 ? port : undefined;
}
