/** The first megabyte of a file as text. */
export function capText(bytes: Buffer): string {
  return bytes.subarray(0, 1024 * 1024).toString("utf8");
}

/** A word as YAML takes it: plain where that is safe, quoted else. */
export function yamlWord(text: string): string {
  const plain =
    /^[A-Za-z_./][A-Za-z0-9_./@+-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n|~|\.(nan|inf))$/i.test(text);
  return plain ? text : JSON.stringify(text);
}

/** `[a, b]` */
export function yamlList(words: readonly string[]): string {
  return `[${words.map(yamlWord).join(", ")}]`;
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
