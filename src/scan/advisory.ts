/**
 * Where a package's name and versions mean something, in OSV's words; Debian's with the release's number (`Debian:12`),
 * whose names are those of source packages.
 *
 * @see https://ossf.github.io/osv-schema/, "affected[].package"
 */
export type Ecosystem = "npm" | "PyPI" | "Go" | `Debian:${string}`;

/** A stretch of versions that are affected. */
export interface AffectedRange {
  /** First version; "0": all from the beginning. */
  readonly introduced: string;
  /** First version that is not affected any more. */
  readonly fixed?: string;
  /** Last version that is; where neither is said, all later ones are. */
  readonly lastAffected?: string;
}

/** How bad it is, by some measure. */
export interface Severity {
  /** The measure: `CVSS_V3`, or `debian` for Debian's urgency. */
  readonly method: string;
  readonly score: string;
}

/** What a vulnerability is, wherever it is. */
export interface Said {
  /** `CVE-2024-2961`, `GHSA-…`. */
  readonly id: string;
  /** Other names of the same vulnerability. */
  readonly aliases: readonly string[];
  /** Vulnerabilities that it is about together, two or more, each of which may have an entry of its own. */
  readonly bundles?: readonly string[];
  /** One line, at most 200 characters. */
  readonly summary: string;
}

/** Where a vulnerability is, in one package. */
export interface Affected {
  readonly ranges: readonly AffectedRange[];
  /** Affected versions that no range holds. */
  readonly versions: readonly string[];
  readonly severity: readonly Severity[];
  /** Why Debian does not mend it in this release; absent: it means to, or nobody said. */
  readonly ignored?: string;
}

/** A vulnerability in a package: all that is kept of what was imported. */
export interface AdvisoryRecord {
  readonly ecosystem: Ecosystem;
  /** As {@link packageName} writes it. */
  readonly name: string;
  readonly said: Said;
  readonly affected: Affected;
}

/** What came of one piece of an imported file. */
export interface Reading {
  readonly records: readonly AdvisoryRecord[];
  /** What could not be used, in words that name the entry. */
  readonly problems: readonly string[];
  /** When the entry was changed last, as it says; null: it does not. */
  readonly modified: string | null;
}

/** Numbers of Debian's releases by their names. */
const debianReleases: Readonly<Record<string, string>> = {
  jessie: "8",
  stretch: "9",
  buster: "10",
  bullseye: "11",
  bookworm: "12",
  trixie: "13",
  forky: "14",
  duke: "15",
};

/** A release of Debian by name (`bookworm`), number (`12`), both (`debian-12`) or `sid`; undefined where it is none that is known. */
export function debianEcosystem(release: string): Ecosystem | undefined {
  const bare = release.toLowerCase().replace(/^debian[-:/ ]/, "");
  const number = Object.hasOwn(debianReleases, bare) ? debianReleases[bare] : bare.replace(/^([0-9]{1,3})\..*$/, "$1");
  return number !== undefined && /^([0-9]{1,3}|sid)$/.test(number) ? `Debian:${number}` : undefined;
}

/** A package's name in the one way in which an ecosystem writes it. */
export function packageName(ecosystem: Ecosystem, name: string): string {
  // PEP 503: runs of these are the same character, and case is not.
  return ecosystem === "PyPI" ? name.toLowerCase().replace(/[-_.]+/g, "-") : name;
}

/** Text from outside as one line, at most `most` characters. */
export function oneLine(text: string, most: number): string {
  const line = text
    .slice(0, most * 4)
    .replace(/\s+/g, " ")
    .trim()
    .toWellFormed();
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`.toWellFormed();
}
