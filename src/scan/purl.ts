/** A package URL, decoded. */
export interface Purl {
  readonly type: string;
  /** Parts before the name, with "/" between them; empty: none. */
  readonly namespace: string;
  readonly name: string;
  /** Empty: none. */
  readonly version: string;
  readonly qualifiers: ReadonlyMap<string, string>;
}

const longest = 2_000;

/**
 * Reads a package URL: `pkg:deb/debian/libc6@2.36-9?distro=bookworm`.
 *
 * @returns undefined where it is none
 * @see https://github.com/package-url/purl-spec
 */
export function parsePurl(text: string): Purl | undefined {
  if (text.length > longest || !text.startsWith("pkg:")) return undefined;
  const [beforeSubpath = ""] = text.slice("pkg:".length).split("#");
  const [path, query] = splitOnce(beforeSubpath, "?");
  const at = path.lastIndexOf("@");
  // An `@` before the last slash belongs to a scope that was not encoded.
  const hasVersion = at > path.lastIndexOf("/");
  const parts = (hasVersion ? path.slice(0, at) : path).split("/").filter((part) => part !== "");
  const decoded = [...parts, hasVersion ? path.slice(at + 1) : ""].map(decode);
  if (parts.length < 2 || decoded.some((part) => part === undefined)) return undefined;
  const qualifiers = new Map<string, string>();
  for (const pair of query.split("&")) {
    const [key, value] = splitOnce(pair, "=");
    const said = decode(value);
    if (key !== "" && said !== undefined) qualifiers.set(key.toLowerCase(), said);
  }
  const words = decoded as readonly string[];
  return {
    type: (words[0] ?? "").toLowerCase(),
    namespace: words.slice(1, -2).join("/"),
    name: words.at(-2) ?? "",
    version: words.at(-1) ?? "",
    qualifiers,
  };
}

function splitOnce(text: string, at: string): readonly [string, string] {
  const index = text.indexOf(at);
  return index < 0 ? [text, ""] : [text.slice(0, index), text.slice(index + 1)];
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
