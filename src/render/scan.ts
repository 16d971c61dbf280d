import type { Digest } from "../model/canonical.ts";
import { counts, type Finding, type ScanDifference } from "../scan/match.ts";
import type { ListedPackage } from "../scan/packages.ts";
import { countStates, type ScanResult } from "../scan/result.ts";
import type { Paint } from "./paint.ts";
import { shortDigest } from "./status.ts";
import { renderTable } from "./table.ts";

/** A result for people. @param all also what Debian ignores */
export function renderScan(result: ScanResult, all: boolean, paint: Paint): readonly string[] {
  const shown = result.findings.filter((finding) => all || counts(finding));
  const heading = ["VULNERABILITY", "PACKAGE", "VERSION", "STATE", "SEVERITY", "ABOUT"];
  const rows = shown.map((finding) => row(finding, paint));
  return [...(rows.length === 0 ? [] : renderTable([heading, ...rows])), ...renderScanSummary(result, all, paint)];
}

/** How many of what, and what the data could not tell. */
export function renderScanSummary(
  { findings, lookedUp, notLookedUp, data }: ScanResult,
  all: boolean,
  paint: Paint,
): readonly string[] {
  const states = countStates(findings);
  const ignored = states["ignored by Debian"];
  const damage = data.files.reduce((sum, { problems }) => sum + problems, 0);
  return [
    `${packages(lookedUp)} looked up: ${states["fix available"]} with a fix available, ${states["no fix"]} without a fix, ${ignored} ignored by Debian${ignored > 0 && !all ? " (--all shows them)" : ""}`,
    ...reasons(notLookedUp).map((reason) => `${paint.warn("not looked up:")} ${reason}`),
    ...(damage === 0
      ? []
      : [`${paint.warn("warning:")} of the data ${damage} ${damage === 1 ? "entry" : "entries"} could not be used`]),
    `data: ${data.files.map(renderFile).join("; ")}`,
  ];
}

function renderFile({ ecosystems, lastUpdate, digest }: ScanResult["data"]["files"][number]): string {
  const [first = "", second] = ecosystems;
  const about = second === undefined ? first : `${first} and ${ecosystems.length - 1} more`;
  return `${about} of ${lastUpdate.slice(0, 10)} (${shortDigest(digest)})`;
}

function row({ id, source, version, state, fixed, reason, severity, summary }: Finding, paint: Paint): string[] {
  const text = fixed === null ? `${state}${reason === null ? "" : ` (${reason})`}` : `fixed in ${fixed}`;
  const word = severity.find(({ method }) => method === "database" || method === "debian")?.score ?? "-";
  const short = summary.length > 60 ? `${summary.slice(0, 59)}…` : summary;
  return [id, source, version, state === "fix available" ? paint.bad(text) : text, word.toLowerCase(), short];
}

/** `12 packages: no data of PyPI was imported`, a reason a line. */
function reasons(notLookedUp: ScanResult["notLookedUp"]): readonly string[] {
  const count = new Map<string, number>();
  for (const { reason } of notLookedUp) count.set(reason, (count.get(reason) ?? 0) + 1);
  return [...count].map(([reason, number]) => `${packages(number)}: ${reason}`);
}

function packages(count: number): string {
  return count === 1 ? "1 package" : `${count} packages`;
}

/** What a new result says that the one before did not; empty where nothing changed. */
export function renderScanDifference({ appeared, gone, changed }: ScanDifference): readonly string[] {
  const named = ({ id, source, version }: Finding): string => `${id} in ${source} ${version}`;
  return [
    ...appeared.map((finding) => `+ ${named(finding)}: ${stateText(finding)}`),
    ...changed.map(({ before, now }) => `~ ${named(now)}: ${stateText(now)}, was ${stateText(before)}`),
    ...gone.map((finding) => `- ${named(finding)}`),
  ];
}

function stateText({ state, fixed }: Finding): string {
  return fixed === null ? state : `fixed in ${fixed}`;
}

/** `shop production v3 (sha256:0123…)`. */
export function renderSubject(artifact: Digest, liveAs: readonly string[]): string {
  return liveAs.length === 0 ? artifact : `${liveAs.join(", ")} (${shortDigest(artifact)})`;
}

/** Packages by licence, those that say none last. */
export function renderLicences(listed: readonly ListedPackage[]): readonly string[] {
  const byLicence = new Map<string, string[]>();
  for (const { name, version, licences } of listed) {
    for (const licence of licences.length === 0 ? [""] : licences)
      byLicence.set(licence, [...(byLicence.get(licence) ?? []), `${name} ${version}`]);
  }
  const sorted = [...byLicence].sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1));
  return renderTable([
    ["LICENCE", "PACKAGES"],
    ...sorted.map(([licence, names]) => [licence || "not said", names.join(", ")]),
  ]);
}
