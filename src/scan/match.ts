import type { Affected, Ecosystem, Said, Severity } from "./advisory.ts";
import type { ListedPackage, LookUp } from "./packages.ts";
import { affects, versionOrder } from "./version-order.ts";

/** What can be done about it: take the mended version; wait for one; nothing, for Debian will not mend it. */
export type FindingState = "fix available" | "no fix" | "ignored by Debian";

/** One vulnerability of one source package, or of one package where there is no such thing. */
export interface Finding {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly state: FindingState;
  readonly ecosystem: Ecosystem;
  /** Source package, or package. */
  readonly source: string;
  readonly version: string;
  /** First version without it; null: there is none. */
  readonly fixed: string | null;
  /** Why Debian ignores it; null: it does not. */
  readonly reason: string | null;
  readonly summary: string;
  readonly severity: readonly Severity[];
  /** What is installed of it, sorted. */
  readonly purls: readonly string[];
}

/** A vulnerability of a package; what it is called is read only where it is found. */
export interface Advisory {
  readonly affected: Affected;
  said(): Said;
}

/** Advisories about a package, in order of the data that they came with: the first to know a vulnerability says it. */
export type Advisories = (ecosystem: Ecosystem, name: string) => readonly Advisory[];

/** What of the packages is known to be vulnerable, sorted by package and id. */
export function matchPackages(packages: readonly ListedPackage[], advisories: Advisories): readonly Finding[] {
  const findings: Finding[] = [];
  for (const { lookUp, purls } of bySource(packages)) {
    const order = versionOrder(lookUp.ecosystem);
    const found = advisories(lookUp.ecosystem, lookUp.name).flatMap(({ affected, said }) => {
      const where = affects(order, affected, lookUp.version);
      return where === null ? [] : [{ affected, said: said(), fixed: where.fixed }];
    });
    const seen: { readonly names: Set<string>; readonly finding: Finding }[] = [];
    for (const { affected, said, fixed } of bundlesLast(found)) {
      if (said.bundles?.every((name) => seen.some(({ names }) => names.has(name))) === true) continue;
      // Several sources tell of the same vulnerability by different names: they are gathered, and none is followed.
      const names = [said.id, ...said.aliases];
      const known = seen.find((other) => names.some((name) => other.names.has(name)));
      if (known === undefined) seen.push({ names: new Set(names), finding: findingOf(said, affected, fixed) });
      else for (const name of names) known.names.add(name);
    }
    for (const { names, finding } of seen) {
      const aliases = [...names].filter((name) => name !== finding.id).sort();
      findings.push({ ...finding, aliases, purls });
    }

    function findingOf({ id, summary }: Said, { severity, ignored }: Affected, fixed: string | null): Finding {
      const reason = fixed === null ? (ignored ?? null) : null;
      return {
        id,
        aliases: [],
        state: fixed !== null ? "fix available" : reason !== null ? "ignored by Debian" : "no fix",
        ecosystem: lookUp.ecosystem,
        source: lookUp.name,
        version: lookUp.version,
        fixed,
        reason,
        summary,
        severity,
        purls: [],
      };
    }
  }
  return findings.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

function bundlesLast<Found extends { readonly said: Said }>(found: readonly Found[]): readonly Found[] {
  const isBundle = ({ said }: Found): boolean => said.bundles !== undefined;
  return [...found.filter((one) => !isBundle(one)), ...found.filter(isBundle)];
}

/** Binary packages of one source are looked up once. */
function bySource(
  packages: readonly ListedPackage[],
): Iterable<{ readonly lookUp: LookUp; readonly purls: readonly string[] }> {
  const groups = new Map<string, { readonly lookUp: LookUp; readonly purls: string[] }>();
  for (const { lookUp, purl } of packages) {
    if (lookUp === null) continue;
    const key = `${lookUp.ecosystem}\0${lookUp.name}\0${lookUp.version}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { lookUp, purls: [purl] });
    else group.purls.push(purl);
  }
  return groups.values();
}

function sortKey({ ecosystem, source, version, id }: Finding): string {
  return `${ecosystem}\0${source}\0${version}\0${id}`;
}

/** Whether a person should know: Debian means to leave some as they are, which are listed but not counted. */
export function counts(finding: Finding): boolean {
  return finding.state !== "ignored by Debian";
}

/** What differs between two results. */
export interface ScanDifference {
  readonly appeared: readonly Finding[];
  readonly gone: readonly Finding[];
  /** There before and now, with another state or another version that mends it. */
  readonly changed: readonly { readonly before: Finding; readonly now: Finding }[];
}

/** What changed from one result to another, by package and id. */
export function compareFindings(before: readonly Finding[], now: readonly Finding[]): ScanDifference {
  const earlier = new Map(before.map((finding) => [sortKey(finding), finding]));
  const later = new Set(now.map(sortKey));
  return {
    appeared: now.filter((finding) => !earlier.has(sortKey(finding))),
    gone: before.filter((finding) => !later.has(sortKey(finding))),
    changed: now.flatMap((finding) => {
      const was = earlier.get(sortKey(finding));
      return was === undefined || (was.state === finding.state && was.fixed === finding.fixed)
        ? []
        : [{ before: was, now: finding }];
    }),
  };
}
