import { parseStanzas, sourceOf, type Stanza } from "../../debian/stanza.ts";
import type { DebianPackage } from "./found.ts";

/** More than any Debian has. */
const mostPackages = 100_000;

/** The installed packages of dpkg's status, or of a file of `status.d`; what is no package is passed over. */
export function readDpkgStatus(text: string): readonly DebianPackage[] {
  const packages = new Map<string, DebianPackage>();
  for (const stanza of parseStanzas(text)) {
    const found = packageOf(stanza);
    if (found !== undefined) packages.set(`${found.name}:${found.architecture}`, found);
    if (packages.size >= mostPackages) break;
  }
  return [...packages.values()];
}

function packageOf(stanza: Stanza): DebianPackage | undefined {
  const name = stanza.get("package") ?? "";
  const version = stanza.get("version") ?? "";
  const architecture = stanza.get("architecture") ?? "";
  // A removed package may have left its configuration.
  const status = stanza.get("status") ?? "install ok installed";
  if (!status.endsWith(" installed") || !isName(name) || !isVersion(version) || !/^[a-z0-9-]{0,40}$/.test(architecture))
    return undefined;
  const source = sourceOf(stanza);
  return {
    name,
    version,
    architecture,
    source: isName(source.name) ? source.name : name,
    sourceVersion: isVersion(source.version) ? source.version : version,
  };
}

function isName(text: string): boolean {
  return /^[a-z0-9][a-z0-9+.-]{0,200}$/.test(text);
}

function isVersion(text: string): boolean {
  return /^[A-Za-z0-9.+:~-]{1,200}$/.test(text);
}

/**
 * The licences that a machine-readable copyright file names, in its own words, sorted.
 *
 * @returns nothing for a file in free words
 * @see https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
 */
export function readCopyright(text: string): readonly string[] {
  if (
    !/^Format(-Specification)?:\s*\S*copyright-format|^Format(-Specification)?:\s*\S*dep5/im.test(text.slice(0, 2000))
  )
    return [];
  const names = new Set<string>();
  for (const stanza of parseStanzas(text)) {
    const [line = ""] = (stanza.get("license") ?? "").split("\n");
    for (const name of line.split(/\s+(?:and|or|and\/or)\s+|[,;]\s*(?:and |or )?/i)) {
      const clean = name.trim().replace(/ +with .*$/i, "");
      if (/^[A-Za-z0-9][A-Za-z0-9.+/ ()-]{0,60}$/.test(clean)) names.add(clean);
    }
  }
  return [...names].sort();
}

/** Paths that `info/NAME.list` names, without the slash before them: one in each line. */
export function readFileList(text: string): readonly string[] {
  return text.split("\n").flatMap((line) => (line.startsWith("/") && line !== "/." ? [line.slice(1)] : []));
}

/** Paths that `NAME.md5sums` names. */
export function readSums(text: string): readonly string[] {
  return text.split("\n").flatMap((line) => /^[0-9a-f]{32} [ *](.+)$/.exec(line)?.[1] ?? []);
}

/** What os-release(5) says of the distribution; undefined where that is nothing. */
export function readRelease(text: string): { readonly id: string; readonly codename: string } | undefined {
  const field = (name: string): string => {
    const value = new RegExp(`^${name}=(?:"([^"\\n]*)"|'([^'\\n]*)'|([^"'\\s]*))\\s*$`, "m").exec(text);
    const word = value?.[1] ?? value?.[2] ?? value?.[3] ?? "";
    return /^[a-z0-9._-]{1,60}$/.test(word) ? word : "";
  };
  const id = field("ID");
  return id === "" ? undefined : { id, codename: field("VERSION_CODENAME") };
}
