import {
  debianEcosystem,
  oneLine,
  packageName,
  type AdvisoryRecord,
  type AffectedRange,
  type Ecosystem,
  type Reading,
  type Severity,
} from "./advisory.ts";
import { asArray, asObject, asText, asTexts, type Fields } from "./fields.ts";
import { affects, versionOrder, type VersionOrder } from "./version-order.ts";

const mostAffected = 10_000;
const mostEvents = 10_000;
const mostVersions = 50_000;
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}$/;

/** A range or version that cannot be made sense of. */
class Unclear extends Error {}

/**
 * Reads one entry of OSV. What cannot be made sense of is left out and named, and the rest of the entry is used: an entry may be about
 * several packages. Names of the same vulnerability are taken as they stand and never followed.
 *
 * @param entry parsed JSON of unknown origin
 * @see https://ossf.github.io/osv-schema/
 */
export function readOsv(entry: unknown): Reading {
  const fields = asObject(entry);
  const id = asText(fields?.["id"]);
  if (fields === undefined || id === undefined || !idPattern.test(id))
    return { records: [], problems: ["an entry without a usable id"], modified: null };
  const modified = timeOf(fields["modified"]);
  if (asText(fields["withdrawn"]) !== undefined) return { records: [], problems: [], modified };
  const affected = asArray(fields["affected"]);
  if (affected.length > mostAffected)
    return { records: [], problems: [`${id}: about ${affected.length} packages`], modified };
  // A distribution's entry names what it is made of: one vulnerability, or all that an advisory mends.
  const upstream = namesIn(fields["upstream"]);
  const said = {
    id,
    aliases: [...new Set([...namesIn(fields["aliases"]), ...(upstream.length === 1 ? upstream : [])])]
      .filter((name) => name !== id)
      .sort(),
    ...(upstream.length > 1 ? { bundles: upstream } : {}),
    summary: oneLine(asText(fields["summary"]) ?? asText(fields["details"]) ?? "", 200),
  };
  const severity = severityOf(fields);
  const records: AdvisoryRecord[] = [];
  const problems: string[] = [];
  for (const item of affected) {
    const about = asObject(item);
    const named = asObject(about?.["package"]);
    const name = asText(named?.["name"]);
    const ecosystem = ecosystemOf(asText(named?.["ecosystem"]));
    if (about === undefined || ecosystem === undefined) continue;
    if (name === undefined || name === "" || name.length > 300) {
      problems.push(`${id}: a package without a usable name`);
      continue;
    }
    const order = versionOrder(ecosystem);
    const ranges: AffectedRange[] = [];
    let understood = 0;
    for (const range of asArray(about["ranges"])) {
      try {
        const read = readRange(order, asObject(range));
        if (read !== undefined) understood += 1;
        ranges.push(...(read ?? []));
      } catch (error) {
        if (!(error instanceof Unclear)) throw error;
        problems.push(`${id}: ${oneLine(name, 60)}: ${error.message}`);
      }
    }
    const listed = asArray(about["versions"]);
    if (listed.length > mostVersions) problems.push(`${id}: ${oneLine(name, 60)}: ${listed.length} versions`);
    const versions = listed
      .slice(0, mostVersions)
      .flatMap((version) => (typeof version === "string" ? (order.normal(version) ?? []) : []))
      .filter((version) => affects(order, { ranges, versions: [] }, version) === null);
    if (understood === 0 && versions.length === 0) {
      if (listed.length > 0) problems.push(`${id}: ${oneLine(name, 60)}: no version that ${ecosystem} could have`);
      continue;
    }
    if (ranges.length === 0 && versions.length === 0) continue;
    const ignored = ignoredByDebian(ecosystem, about);
    records.push({
      ecosystem,
      name: packageName(ecosystem, name),
      said,
      affected: {
        severity: severityOf(about).length > 0 ? severityOf(about) : severity,
        ranges,
        versions: [...new Set(versions)],
        ...(ignored === undefined ? {} : { ignored }),
      },
    });
  }
  return { records, problems, modified };
}

/** Undefined: one that is not in use here. */
function ecosystemOf(text: string | undefined): Ecosystem | undefined {
  if (text === "npm" || text === "PyPI" || text === "Go") return text;
  return text?.startsWith("Debian:") === true ? debianEcosystem(text) : undefined;
}

/**
 * The stretches between a range's events, which may stand in any order.
 *
 * @returns undefined for one of git commits, which say nothing of versions
 * @throws {Unclear}
 * @see https://ossf.github.io/osv-schema/, "Evaluation"
 */
function readRange(order: VersionOrder, range: Fields | undefined): readonly AffectedRange[] | undefined {
  const type = asText(range?.["type"]);
  if (type === "GIT") return undefined;
  if (range === undefined || (type !== "SEMVER" && type !== "ECOSYSTEM"))
    throw new Unclear(`a range of unknown type ${oneLine(JSON.stringify(type) ?? "(none)", 40)}`);
  const events = asArray(range["events"]);
  if (events.length > mostEvents) throw new Unclear(`a range of ${events.length} events`);
  const read = events.map((event) => readEvent(order, asObject(event))).sort((a, b) => inOrder(order, a, b));
  const ranges: AffectedRange[] = [];
  let open: string | undefined;
  for (const { kind, version } of read) {
    if (kind === "introduced") open ??= version;
    else if (open === undefined) {
      if (ranges.length > 0) continue;
      throw new Unclear(`a range that ends with ${oneLine(version, 60)} before it begins`);
    } else {
      if (kind !== "fixed" || version !== open)
        ranges.push({ introduced: open, ...(kind === "fixed" ? { fixed: version } : { lastAffected: version }) });
      open = undefined;
    }
  }
  if (open !== undefined) ranges.push({ introduced: open });
  if (events.length === 0) throw new Unclear("a range without events");
  return ranges;
}

interface RangeEvent {
  readonly kind: "introduced" | "fixed" | "last_affected";
  readonly version: string;
}

function readEvent(order: VersionOrder, event: Fields | undefined): RangeEvent {
  for (const kind of ["introduced", "fixed", "last_affected"] as const) {
    const text = asText(event?.[kind]);
    if (text === undefined) continue;
    if (kind === "introduced" && text === "0") return { kind, version: "0" };
    const version = order.normal(text);
    if (version === null) throw new Unclear(`${oneLine(text, 60)} is no version`);
    return { kind, version };
  }
  throw new Unclear(`an event of a range that is not known: ${oneLine(Object.keys(event ?? {}).join(", "), 40)}`);
}

/** By version; what begins somewhere comes before what ends there. */
function inOrder(order: VersionOrder, a: RangeEvent, b: RangeEvent): number {
  const rank = { introduced: 0, last_affected: 1, fixed: 2 };
  if (a.version === b.version) return rank[a.kind] - rank[b.kind];
  if (a.version === "0") return -1;
  if (b.version === "0") return 1;
  return order.compare(a.version, b.version) || rank[a.kind] - rank[b.kind];
}

function severityOf(fields: Fields): readonly Severity[] {
  const scores = asArray(fields["severity"]).flatMap((item): readonly Severity[] => {
    const method = asText(asObject(item)?.["type"]);
    const score = asText(asObject(item)?.["score"]);
    return method === undefined || score === undefined
      ? []
      : [{ method: oneLine(method, 40), score: oneLine(score, 200) }];
  });
  const word = asText(asObject(fields["database_specific"])?.["severity"]);
  const urgency = asText(asObject(fields["ecosystem_specific"])?.["urgency"]);
  return [
    ...scores.slice(0, 10),
    ...(word === undefined ? [] : [{ method: "database", score: oneLine(word, 40) }]),
    ...(urgency === undefined ? [] : [{ method: "debian", score: oneLine(urgency, 40) }]),
  ];
}

function ignoredByDebian(ecosystem: Ecosystem, about: Fields): string | undefined {
  const urgency = asText(asObject(about["ecosystem_specific"])?.["urgency"]);
  return ecosystem.startsWith("Debian:") && (urgency === "unimportant" || urgency === "end-of-life")
    ? urgency
    : undefined;
}

function namesIn(value: unknown): readonly string[] {
  return asTexts(value)
    .slice(0, 100)
    .filter((name) => idPattern.test(name));
}

/** A time in UTC, without believing one that is none. */
function timeOf(value: unknown): string | null {
  const text = asText(value);
  return text !== undefined && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text) ? text : null;
}
