import { expandWords } from "./words.ts";

/** A document inside an instruction: `<<EOF` up to the line `EOF`. */
export interface Heredoc {
  readonly name: string;
  /** Variables are put in; false where the name was quoted. */
  readonly expand: boolean;
  /** `<<-`: tabs at the beginning of its lines do not count. */
  readonly chomp: boolean;
  /** Every line with its newline, as written. */
  readonly content: string;
}

/** One instruction as written, continuations joined and comments taken out. */
export interface WrittenInstruction {
  /** First line of it in the file, from 1. */
  readonly line: number;
  /** In capitals. */
  readonly keyword: string;
  /** What follows the keyword, without white space at both ends. */
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
}

/** A problem at a line. */
export interface TextProblem {
  readonly line: number;
  readonly message: string;
}

export interface SourceText {
  readonly instructions: readonly WrittenInstruction[];
  /** `\`, or what `# escape=` says. */
  readonly escape: string;
  /** What `# syntax=` says. */
  readonly syntax: string | null;
  readonly problems: readonly TextProblem[];
  readonly warnings: readonly TextProblem[];
}

const directiveNames = ["syntax", "escape", "check"];
const withHeredocs = new Set(["RUN", "COPY", "ADD"]);

/**
 * Takes a Dockerfile's text apart into instructions: parser directives, comments, continuations, here-documents.
 *
 * @see Dockerfile reference, "Format", "Parser directives", "Here-Documents"
 */
export function readSourceText(text: string): SourceText {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const problems: TextProblem[] = [];
  const warnings: TextProblem[] = [];
  const directives = readDirectives(lines, problems);
  const escape = directives.get("escape") ?? "\\";
  const instructions: WrittenInstruction[] = [];
  for (let at = 0; at < lines.length;) {
    const first = (lines[at] ?? "").trimStart();
    if (first === "" || first.startsWith("#")) {
      at++;
      continue;
    }
    const line = at + 1;
    let [joined, more] = takeContinuation(first, escape);
    at++;
    for (let blank = false; more && at < lines.length; at++) {
      const next = lines[at] ?? "";
      const trimmed = next.trimStart();
      if (trimmed.startsWith("#")) continue;
      if (trimmed === "") {
        if (!blank && at < lines.length - 1)
          warnings.push({ line: at + 1, message: "an empty line inside an instruction" });
        blank = true;
        continue;
      }
      const [piece, again] = takeContinuation(next, escape);
      joined += piece;
      more = again;
    }
    const written = joined.trim();
    // Only the escape character: an instruction that says nothing.
    if (written === "") continue;
    const space = written.search(/\s/);
    const keyword = (space < 0 ? written : written.slice(0, space)).toUpperCase();
    const body = space < 0 ? "" : written.slice(space).trim();
    const heredocs: Heredoc[] = [];
    for (const opening of hasHeredocs(keyword, body) ? findHeredocs(body) : []) {
      const content: string[] = [];
      let closed = false;
      for (; at < lines.length && !closed; at++) {
        const candidate = lines[at] ?? "";
        closed = (opening.chomp ? candidate.replace(/^\t+/, "") : candidate) === opening.name;
        if (!closed) content.push(`${candidate}\n`);
      }
      if (!closed) problems.push({ line, message: `the here-document "${opening.name}" is not closed` });
      heredocs.push({ ...opening, content: content.join("") });
    }
    instructions.push({ line, keyword, text: body, heredocs });
  }
  return { instructions, escape, syntax: directives.get("syntax") ?? null, problems, warnings };
}

/** The content as it is meant: without the tabs that `<<-` takes away. */
export function heredocText(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.content.replace(/^\t+/gm, "") : heredoc.content;
}

/** What a word such as `<<-"EOF"` opens; undefined where it opens nothing. */
export function parseHeredocWord(word: string): Omit<Heredoc, "content"> | undefined {
  const match = /^\d*<<(-?)([^<]+)$/.exec(word);
  const written = match?.[2];
  if (written === undefined) return undefined;
  try {
    const none = new Map<string, string>();
    const [name, second] = expandWords(written, none, { escape: "\\", keepUnset: true });
    const [raw] = expandWords(written, none, { escape: "\\", keepUnset: true, rawQuotes: true, rawEscapes: true });
    if (name === undefined || second !== undefined) return undefined;
    return { name, expand: name === raw, chomp: match?.[1] === "-" };
  } catch {
    return undefined;
  }
}

function hasHeredocs(keyword: string, body: string): boolean {
  return withHeredocs.has(keyword === "ONBUILD" ? (/^\S*/.exec(body)?.[0] ?? "").toUpperCase() : keyword);
}

function findHeredocs(body: string): readonly Omit<Heredoc, "content">[] {
  if (!body.includes("<<")) return [];
  try {
    const words = expandWords(body, new Map(), { escape: "\\", keepUnset: true, rawQuotes: true, rawEscapes: true });
    return words.flatMap((word) => parseHeredocWord(word) ?? []);
  } catch {
    // A shell line with a single quote mark in it; the shell will say what it thinks of it.
    return [];
  }
}

function readDirectives(lines: readonly string[], problems: TextProblem[]): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  for (const [index, line] of lines.entries()) {
    const match = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line.trimStart());
    const name = match?.[1]?.toLowerCase() ?? "";
    if (!directiveNames.includes(name)) break;
    if (directives.has(name)) problems.push({ line: index + 1, message: `the directive ${name} stands there twice` });
    const value = match?.[2] ?? "";
    if (name === "escape" && value !== "\\" && value !== "`")
      problems.push({ line: index + 1, message: `the escape character can be \\ or \`, not "${value.slice(0, 20)}"` });
    else directives.set(name, value);
  }
  return directives;
}

/** A line without its escape character at the end, and whether it had one. */
function takeContinuation(line: string, escape: string): [text: string, more: boolean] {
  const end = line.replace(/[ \t]+$/, "");
  // Two of them are an escaped one.
  if (!end.endsWith(escape) || end.endsWith(escape + escape)) return [line, false];
  return [end.slice(0, -1), true];
}
