/** The fields of a paragraph of Debian's control files; names in lower case, folded lines kept with their newlines. */
export type Stanza = ReadonlyMap<string, string>;

/**
 * Splits control data into its paragraphs.
 *
 * @see deb822(5)
 */
export function parseStanzas(text: string): readonly Stanza[] {
  const stanzas: Stanza[] = [];
  let fields = new Map<string, string>();
  let last: string | undefined;
  for (const line of text.split("\n")) {
    if (line.trim() === "") {
      if (fields.size > 0) stanzas.push(fields);
      fields = new Map();
      last = undefined;
    } else if (/^[ \t]/.test(line)) {
      if (last !== undefined) fields.set(last, `${fields.get(last) ?? ""}\n${line}`);
    } else {
      const colon = line.indexOf(":");
      if (colon < 1) continue;
      last = line.slice(0, colon).toLowerCase();
      fields.set(last, line.slice(colon + 1).trim());
    }
  }
  if (fields.size > 0) stanzas.push(fields);
  return stanzas;
}

/** The source of a binary package: its own name and version where the field does not say otherwise. @see deb-control(5), "Source" */
export function sourceOf(stanza: Stanza): { readonly name: string; readonly version: string } {
  const own = { name: stanza.get("package") ?? "", version: stanza.get("version") ?? "" };
  const [, name, version] = /^(\S+)(?:\s+\(([^)]+)\))?$/.exec(stanza.get("source") ?? "") ?? [];
  return name === undefined ? own : { name, version: version ?? own.version };
}
