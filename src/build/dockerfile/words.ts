/** Variables that can be used in an instruction. */
export type Variables = ReadonlyMap<string, string>;

/**
 * Splits an instruction's text into words: quotes and escapes taken off, variables put in (`$A`, `${A}`, `${A:-x}`,
 * `${A-x}`, `${A:+x}`, `${A+x}`). A variable's value is never split.
 *
 * @throws {SyntaxError} for a quote or brace that is not closed
 */
export function splitWords(text: string, variables: Variables, escape: string): string[] {
  const words: string[] = [];
  let at = 0;
  while (at < text.length) {
    while (/\s/.test(text.charAt(at))) at++;
    if (at >= text.length) break;
    const [word, next] = readWord(text, at, variables, escape, (c) => /\s/.test(c));
    words.push(word);
    at = next;
  }
  return words;
}

/** The whole text as one word. @throws {SyntaxError} */
export function expandText(text: string, variables: Variables, escape: string): string {
  return readWord(text, 0, variables, escape, () => false)[0];
}

function readWord(
  text: string,
  from: number,
  variables: Variables,
  escape: string,
  ends: (c: string) => boolean,
): [word: string, next: number] {
  let word = "";
  let quote = "";
  let at = from;
  while (at < text.length) {
    const c = text.charAt(at);
    if (quote === "" && ends(c)) break;
    if (c === escape && quote !== "'" && at + 1 < text.length) {
      const next = text.charAt(at + 1);
      // Inside double quotes the escape stays before everything it has no meaning for.
      word += quote === '"' && !['"', "$", escape].includes(next) ? c + next : next;
      at += 2;
    } else if (quote !== "'" && c === "$") {
      const [value, next] = readVariable(text, at, variables, escape);
      word += value;
      at = next;
    } else if (c === quote) {
      quote = "";
      at++;
    } else if (quote === "" && (c === '"' || c === "'")) {
      quote = c;
      at++;
    } else {
      word += c;
      at++;
    }
  }
  if (quote !== "") throw new SyntaxError(`the quote ${quote} is not closed`);
  return [word, at];
}

function readVariable(text: string, at: number, variables: Variables, escape: string): [value: string, next: number] {
  const plain = /^\$([A-Za-z_][A-Za-z0-9_]*)/.exec(text.slice(at));
  if (plain !== null) return [variables.get(plain[1] ?? "") ?? "", at + plain[0].length];
  const braced = /^\$\{([A-Za-z_][A-Za-z0-9_]*)(:?[-+])?/.exec(text.slice(at));
  if (braced === null) {
    if (text.startsWith("${", at)) throw new SyntaxError(`"${text.slice(at, at + 20)}" is no variable`);
    return ["$", at + 1];
  }
  const value = variables.get(braced[1] ?? "");
  const operator = braced[2] ?? "";
  const [other, end] = readWord(text, at + braced[0].length, variables, escape, (c) => c === "}");
  if (text.charAt(end) !== "}") throw new SyntaxError("a ${ is not closed");
  if (operator === "" && other !== "")
    throw new SyntaxError(`"${text.slice(at, end + 1)}" uses a form of variable that is not supported`);
  const there = value !== undefined && (!operator.startsWith(":") || value !== "");
  if (operator.endsWith("-")) return [there ? (value ?? "") : other, end + 1];
  if (operator.endsWith("+")) return [there ? other : "", end + 1];
  return [value ?? "", end + 1];
}
