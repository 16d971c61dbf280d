import { debianEcosystem, oneLine, type AdvisoryRecord, type Reading } from "./advisory.ts";
import { isDebianVersion } from "./debian-version.ts";
import { asObject, asText, type Fields } from "./fields.ts";

const packagePattern = /^[a-z0-9][a-z0-9+.-]{1,127}$/;
const idPattern = /^(CVE-\d{4}-\d{1,9}|TEMP-[0-9A-F-]{1,40})$/;

/**
 * Reads what Debian's security tracker says of one source package: what is open, and what was mended, in each release.
 *
 * @param source name of the source package
 * @param value its vulnerabilities by id, parsed JSON of unknown origin
 * @see https://security-tracker.debian.org/tracker/data/json
 */
export function readTrackerPackage(source: string, value: unknown): Reading {
  const entries = asObject(value);
  if (entries === undefined || !packagePattern.test(source))
    return { records: [], problems: [`${oneLine(source, 60)}: no source package`], modified: null };
  const records: AdvisoryRecord[] = [];
  const problems: string[] = [];
  for (const [id, entry] of Object.entries(entries)) {
    const fields = asObject(entry);
    const releases = asObject(fields?.["releases"]);
    if (fields === undefined || releases === undefined || !idPattern.test(id)) {
      problems.push(`${source}: ${oneLine(id, 60)}: no releases, or no id of a vulnerability`);
      continue;
    }
    const said = { id, aliases: [], summary: oneLine(asText(fields["description"]) ?? "", 200) };
    for (const [release, stated] of Object.entries(releases)) {
      const ecosystem = debianEcosystem(release);
      if (ecosystem === undefined) continue;
      const state = readState(asObject(stated));
      if (state === "unclear") problems.push(`${source}: ${id}: ${oneLine(release, 20)}: its state is not known`);
      if (typeof state === "string") continue;
      const { fixed, urgency, ignored } = state;
      records.push({
        ecosystem,
        name: source,
        said,
        affected: {
          severity: urgency === undefined ? [] : [{ method: "debian", score: urgency }],
          ranges: [{ introduced: "0", ...(fixed === undefined ? {} : { fixed }) }],
          versions: [],
          ...(ignored === undefined ? {} : { ignored }),
        },
      });
    }
  }
  return { records, problems, modified: null };
}

interface State {
  readonly fixed?: string;
  readonly urgency?: string;
  readonly ignored?: string;
}

/** `clear`: this release was never affected. */
function readState(said: Fields | undefined): State | "clear" | "unclear" {
  const status = asText(said?.["status"]);
  const urgency = asText(said?.["urgency"]);
  const words = urgency === undefined ? {} : { urgency: oneLine(urgency.replaceAll("*", ""), 40) };
  if (status === "resolved") {
    const fixed = asText(said?.["fixed_version"]);
    if (fixed === "0") return "clear";
    return fixed !== undefined && isDebianVersion(fixed) ? { ...words, fixed } : "unclear";
  }
  if (status !== "open" && status !== "undetermined") return "unclear";
  const reason = asText(said?.["nodsa_reason"]);
  const ignored =
    urgency === "unimportant" || urgency === "end-of-life"
      ? urgency
      : reason === "ignored"
        ? oneLine(asText(said?.["nodsa"]) || "ignored", 80)
        : undefined;
  return ignored === undefined ? words : { ...words, ignored };
}
