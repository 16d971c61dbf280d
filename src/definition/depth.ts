import { Parser, type CST } from "yaml";

/** Deepest nesting that is read; the format itself needs five. */
const maxDepth = 64;

/**
 * Where nesting goes deeper than anything a definition has. The syntax is looked at without recursion, before anything
 * recursive reads it.
 *
 * @returns the offset, or undefined
 */
export function firstTooDeep(text: string): number | undefined {
  const parser = new Parser();
  for (const token of parser.parse(text)) {
    const waiting: { readonly token: CST.Token; readonly depth: number }[] = [{ token, depth: 0 }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (next.depth > maxDepth) return "offset" in next.token ? next.token.offset : 0;
      for (const inner of children(next.token)) waiting.push({ token: inner, depth: next.depth + 1 });
    }
  }
  return undefined;
}

function children(token: CST.Token): readonly CST.Token[] {
  if (token.type === "document") return token.value === undefined ? [] : [token.value];
  if (!("items" in token)) return [];
  return token.items.flatMap(({ key, value }) => [key, value].filter((one) => one !== undefined && one !== null));
}
