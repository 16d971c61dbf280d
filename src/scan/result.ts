import type { Digest } from "../model/canonical.ts";
import type { Ecosystem } from "./advisory.ts";
import { counts, matchPackages, type Advisories, type Finding, type FindingState } from "./match.ts";
import type { ListedPackage } from "./packages.ts";

/** The data that a scan goes by. */
export interface ScanData {
  /** Names all of it. */
  readonly digest: Digest;
  /** Newest change that it tells of, ISO 8601. */
  readonly lastUpdate: string;
  readonly files: readonly DataFileFacts[];
  readonly advisories: Advisories;
}

/** One imported file, as a result tells of it. */
export interface DataFileFacts {
  readonly digest: Digest;
  readonly format: string;
  readonly lastUpdate: string;
  readonly ecosystems: readonly Ecosystem[];
  /** Entries of it that no sense could be made of. */
  readonly problems: number;
}

/** What is known of an artifact's packages. */
export interface ScanResult {
  readonly data: Omit<ScanData, "advisories">;
  /** How many packages were looked up. */
  readonly lookedUp: number;
  /** Those that could not be, and why. */
  readonly notLookedUp: readonly { readonly purl: string; readonly reason: string }[];
  readonly findings: readonly Finding[];
}

/** Looks packages up in data. A package that the data cannot tell of is named, never passed as free of vulnerabilities. */
export function scanPackages(packages: readonly ListedPackage[], data: ScanData): ScanResult {
  const { digest, lastUpdate, files } = data;
  const known = new Set(files.flatMap(({ ecosystems }) => ecosystems));
  const judged = packages.map((listed) =>
    listed.lookUp === null || known.has(listed.lookUp.ecosystem)
      ? listed
      : { ...listed, lookUp: null, reason: `no data of ${listed.lookUp.ecosystem} was imported` },
  );
  return {
    data: { digest, lastUpdate, files },
    lookedUp: judged.filter(({ lookUp }) => lookUp !== null).length,
    notLookedUp: judged.flatMap(({ purl, lookUp, reason }) => (lookUp === null ? [{ purl, reason }] : [])),
    findings: matchPackages(judged, data.advisories),
  };
}

/** Findings by state. */
export function countStates(findings: readonly Finding[]): { readonly [state in FindingState]: number } {
  const count = { "fix available": 0, "no fix": 0, "ignored by Debian": 0 };
  for (const { state } of findings) count[state] += 1;
  return count;
}

/** Whether anything was found that a person should know. */
export function isFound(findings: readonly Finding[]): boolean {
  return findings.some(counts);
}
