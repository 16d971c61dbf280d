import { matchPattern } from "./shell-pattern.ts";

/** Variables that can be used in an instruction. */
export type Variables = Pick<ReadonlyMap<string, string>, "get">;

export interface WordOptions {
  /** The file's escape character. */
  readonly escape: string;
  /** Quotes stay where they are. */
  readonly rawQuotes?: boolean;
  /** Quotes are characters like any other. */
  readonly plainQuotes?: boolean;
  /** Escape characters stay where they are. */
  readonly rawEscapes?: boolean;
  /** `$A` stays as it is written where A is not set. */
  readonly keepUnset?: boolean;
}

/** How deep `${A:-${B:-…}}` may go. */
const mostDepth = 100;

/**
 * The whole text as one word: quotes and escapes taken off, variables put in with every modifier that Dockerfiles have.
 *
 * @throws {SyntaxError} for a quote or brace that is not closed, a modifier that is none, or `${A:?message}` of what is not set
 * @see Dockerfile reference, "Environment replacement"
 */
export function expandText(text: string, variables: Variables, options: WordOptions): string {
  return new WordReader(text, variables, options).read(undefined, options.rawEscapes === true).text;
}

/** The same, split at white space outside of quotes; a variable's value is split too. @throws {SyntaxError} */
export function expandWords(text: string, variables: Variables, options: WordOptions): readonly string[] {
  return new WordReader(text, variables, options).read(undefined, options.rawEscapes === true).words;
}

/** Splits at white space outside of quotes and leaves everything else as it is written, as ARG, ENV and LABEL are read. */
export function splitQuoted(text: string, escape: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  let open = false;
  for (let at = 0; at < text.length; at++) {
    const c = text.charAt(at);
    if (quote === "" && isSpace(c)) {
      if (open) words.push(word);
      word = "";
      open = false;
      continue;
    }
    open = true;
    if (c === escape && quote !== "'") {
      // One at the very end says nothing.
      if (at + 1 < text.length) word += c + text.charAt(++at);
      continue;
    }
    if (quote === "" && (c === "'" || c === '"')) quote = c;
    else if (c === quote) quote = "";
    word += c;
  }
  if (open && word !== "") words.push(word);
  return words;
}

class Words {
  readonly list: string[] = [];
  #word = "";
  #inside = false;

  /** A character that ends a word where it is white space. */
  plain(c: string): void {
    if (!isSpace(c)) return this.raw(c);
    if (!this.#inside || this.#word === "") return;
    this.list.push(this.#word);
    this.#word = "";
    this.#inside = false;
  }

  raw(text: string): void {
    this.#word += text;
    this.#inside = true;
  }

  end(): readonly string[] {
    if (this.#word !== "") this.list.push(this.#word);
    this.#word = "";
    return this.list;
  }
}

class WordReader {
  readonly #text: string;
  readonly #variables: Variables;
  readonly #options: WordOptions;
  #at = 0;
  #depth = 0;
  #rawEscapes = false;

  constructor(text: string, variables: Variables, options: WordOptions) {
    this.#text = text;
    this.#variables = variables;
    this.#options = options;
  }

  /** Up to `stop`, which is taken too; undefined: to the end. */
  read(stop: string | undefined, rawEscapes: boolean): { text: string; words: readonly string[] } {
    if (++this.#depth > mostDepth) throw new SyntaxError("variables are nested too deeply");
    const outer = this.#rawEscapes;
    this.#rawEscapes = rawEscapes;
    const words = new Words();
    let text = "";
    try {
      while (this.#at < this.#text.length) {
        const c = this.#text.charAt(this.#at);
        if (c === stop) {
          this.#at++;
          return { text, words: words.end() };
        }
        if (c === "$") {
          const value = this.#variable();
          text += value;
          for (const part of value) words.plain(part);
        } else if ((c === "'" || c === '"') && this.#options.plainQuotes !== true) {
          const value = c === "'" ? this.#single() : this.#double();
          text += value;
          words.raw(value);
        } else if (c === this.#options.escape) {
          const kept = `${this.#rawEscapes ? c : ""}${this.#text.charAt(this.#at + 1)}`;
          this.#at += 2;
          text += kept;
          if (kept !== "") words.raw(kept);
        } else {
          this.#at++;
          text += c;
          words.plain(c);
        }
      }
    } finally {
      this.#rawEscapes = outer;
      this.#depth--;
    }
    if (stop !== undefined)
      throw new SyntaxError(stop === "}" ? "a ${ is not closed" : `a "${stop}" is missing in \${}`);
    return { text, words: words.end() };
  }

  #single(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) throw new SyntaxError("the quote ' is not closed");
    const inner = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return this.#options.rawQuotes === true ? `'${inner}'` : inner;
  }

  #double(): string {
    const { escape } = this.#options;
    let text = "";
    for (this.#at++; this.#at < this.#text.length;) {
      const c = this.#text.charAt(this.#at);
      if (c === '"') {
        this.#at++;
        return this.#options.rawQuotes === true ? `"${text}"` : text;
      }
      if (c === "$") {
        text += this.#variable();
        continue;
      }
      this.#at++;
      if (c !== escape) {
        text += c;
        continue;
      }
      // Inside double quotes the escape stays before everything it has no meaning for.
      const next = this.#text.charAt(this.#at);
      if (next === '"' || next === "$" || next === escape) {
        text += (this.#rawEscapes ? c : "") + next;
        this.#at++;
      } else if (next !== "") text += (this.#rawEscapes ? c : "") + c;
    }
    throw new SyntaxError('the quote " is not closed');
  }

  #name(): string {
    const rest = this.#text.slice(this.#at, this.#at + 300);
    const name = /^(?:[0-9]+|[@*#?\-$!]|[\p{L}\p{Nd}_]+)/u.exec(rest)?.[0] ?? "";
    this.#at += name.length;
    return name;
  }

  #variable(): string {
    this.#at++;
    if (this.#text.charAt(this.#at) !== "{") {
      const name = this.#name();
      return name === "" ? "$" : this.#value(name, `$${name}`);
    }
    const start = this.#at - 1;
    this.#at++;
    if (["{", "}", ":", ""].includes(this.#text.charAt(this.#at)))
      throw new SyntaxError(`"${this.#text.slice(start, this.#at + 1)}" names no variable`);
    const name = this.#name();
    const operator = this.#text.charAt(this.#at++);
    if (operator === "}") return this.#value(name, `\${${name}}`);
    if (operator === "/") return this.#replace(name);
    const colon = operator === ":";
    const kind = colon ? this.#text.charAt(this.#at++) : operator;
    const allowed = colon ? "-+?" : "-+?#%";
    if (kind === "" || !allowed.includes(kind))
      throw new SyntaxError(`"${this.#text.slice(start, this.#at)}" uses a form of variable that does not exist`);
    const { text: other } = this.read("}", kind === "#" || kind === "%");
    const value = this.#variables.get(name);
    if (value === undefined && this.#options.keepUnset === true) return `\${${name}${colon ? ":" : ""}${kind}${other}}`;
    const there = value !== undefined && !(colon && value === "");
    if (kind === "-") return there ? value : other;
    if (kind === "+") return there ? other : "";
    if (kind === "?") {
      if (there) return value;
      const state = value === undefined ? "is not set" : "is empty";
      throw new SyntaxError(`${name}: ${other === "" ? `it ${state}` : other}`);
    }
    const greedy = other.startsWith(kind);
    return cut(value ?? "", greedy ? other.slice(1) : other, kind, greedy);
  }

  #replace(name: string): string {
    const all = this.#text.charAt(this.#at) === "/";
    if (all) this.#at++;
    const { text: pattern } = this.read("/", true);
    const { text: replacement } = this.read("}", true);
    const value = this.#variables.get(name);
    if (value === undefined && this.#options.keepUnset === true) return `\${${name}/${pattern}/${replacement}}`;
    const expression = matchPattern(pattern, { greedy: true, at: "anywhere", all });
    return (value ?? "").replace(expression, () => replacement);
  }

  #value(name: string, written: string): string {
    return this.#variables.get(name) ?? (this.#options.keepUnset === true ? written : "");
  }
}

/** `${A#pattern}` and `${A%pattern}`, greedy with the sign doubled. */
function cut(value: string, pattern: string, kind: string, greedy: boolean): string {
  if (kind === "#") return value.replace(matchPattern(pattern, { greedy, at: "start", all: false }), "");
  const whole = matchPattern(pattern, { greedy: true, at: "whole", all: false });
  const starts = [...Array(value.length + 1).keys()];
  for (const at of greedy ? starts : starts.reverse()) if (whole.test(value.slice(at))) return value.slice(0, at);
  return value;
}

function isSpace(c: string): boolean {
  return /\s/.test(c);
}
