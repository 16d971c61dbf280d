/** A word as YAML takes it: plain where that is safe, quoted else. */
export function yamlWord(text: string): string {
  const plain =
    /^-{0,2}[A-Za-z_./][A-Za-z0-9_./@+-]*$/.test(text) &&
    !/^(true|false|null|yes|no|on|off|y|n|~|-?\.(nan|inf))$/i.test(text);
  return plain ? text : JSON.stringify(text);
}

/** `[a, b]` */
export function yamlList(words: readonly string[]): string {
  return `[${words.map(yamlWord).join(", ")}]`;
}

/** `{ a: b }` */
export function yamlMap(entries: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(entries).map(([name, value]) => `${yamlWord(name)}: ${yamlWord(value)}`);
  return `{ ${pairs.join(", ")} }`;
}

/** A folder's or package's name made into an app's name. */
export function appNameFrom(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/^@[^/]*\//, "")
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 32)
    .replace(/-+$/, "");
  return name === "" ? "app" : name;
}

/** The line an offset is in, from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** A text that a regular expression takes as it is. */
export function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);
}

const mark = "# Written by bronze init";

/** The first line of a file that `init` writes. */
export function writtenBy(from: string): string {
  return `${mark} from ${from}; yours to change.`;
}

/** Whether `init` wrote a file, whatever became of it. */
export function isWritten(text: string): boolean {
  return text.startsWith(mark);
}
