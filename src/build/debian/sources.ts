import { parseStanzas, type Stanza } from "./stanza.ts";

/** A place of packages that apt of this machine is configured with. */
export interface ConfiguredSource {
  /** Ends in "/". */
  readonly uri: string;
  /** `bookworm-security`. */
  readonly release: string;
  readonly components: readonly string[];
  /** File of keys that the entry names; undefined where it names none, or gives fingerprints or a key itself. */
  readonly keyring: string | undefined;
}

/** Reads a file of apt's sources in either of its forms. What it does not understand is left out. @see sources.list(5) */
export function parseSources(path: string, text: string): readonly ConfiguredSource[] {
  if (!path.endsWith(".sources")) return text.split("\n").flatMap(parseLine);
  return parseStanzas(text.replace(/^#.*\n?/gm, "")).flatMap(parseStanza);
}

function parseLine(line: string): readonly ConfiguredSource[] {
  const [, options = "", rest = ""] = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?([^#]*)/.exec(line) ?? [];
  const [uri, release, ...components] = words(rest);
  const keyring = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1];
  return uri === undefined || release === undefined ? [] : [source(uri, release, components, keyring)];
}

function parseStanza(stanza: Stanza): readonly ConfiguredSource[] {
  const field = (name: string): readonly string[] => words(stanza.get(name) ?? "");
  if (!field("types").includes("deb") || /^(no|false|0|off|without|disable)$/i.test(stanza.get("enabled") ?? ""))
    return [];
  const keyring = stanza.get("signed-by")?.trim();
  return field("uris").flatMap((uri) =>
    field("suites").map((release) => source(uri, release, field("components"), keyring)),
  );
}

function source(
  uri: string,
  release: string,
  components: readonly string[],
  signedBy: string | undefined,
): ConfiguredSource {
  const keyring = signedBy !== undefined && /^\/[^\s,\]]+$/.test(signedBy) ? signedBy : undefined;
  return { uri: uri.endsWith("/") ? uri : `${uri}/`, release, components, keyring };
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
