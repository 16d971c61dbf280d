import { canonicalJson, type Json } from "../model/canonical.ts";
import { asArray, asObject, asText, asTexts, type Fields } from "./fields.ts";
import type { Finding, FindingState } from "./match.ts";
import type { ScanResult } from "./result.ts";

/** The kind of statement that a scan's result is. @see in-toto attestation, predicate "Vulnerabilities" 0.2 */
export const vulnerabilitiesType = "https://in-toto.io/attestation/vulns/v0.2";

export type Predicate = { readonly [key: string]: Json | undefined };

/** A scan's result as a predicate: the data with its digest and date, and all findings. */
export function vulnerabilitiesPredicate(
  { data, findings, lookedUp, notLookedUp }: ScanResult,
  scan: { readonly version: string; readonly startedAt: string; readonly finishedAt: string },
): Predicate {
  return {
    scanner: {
      uri: `pkg:generic/bronze@${scan.version}`,
      version: scan.version,
      db: {
        uri: `urn:bronze:vulnerabilities:${data.digest}`,
        version: data.digest,
        lastUpdate: data.lastUpdate,
        files: data.files as unknown as Json,
      },
      packages: { lookedUp, notLookedUp: notLookedUp as unknown as Json },
      result: findings.map(resultOf),
    },
    metadata: { scanStartedOn: scan.startedAt, scanFinishedOn: scan.finishedAt },
  };
}

function resultOf({ id, severity, ...said }: Finding): Json {
  return { id, severity: severity as unknown as Json, annotations: [said] };
}

/** Whether two predicates say the same, whenever the scans were. */
export function saysTheSame(a: Predicate, b: Predicate): boolean {
  return canonicalJson(a["scanner"] ?? null) === canonicalJson(b["scanner"] ?? null);
}

/** When a scan ended, as its predicate says; undefined: it does not. */
export function finishedAt(predicate: Predicate): string | undefined {
  return asText(asObject(predicate["metadata"])?.["scanFinishedOn"]);
}

const states: ReadonlySet<string> = new Set<FindingState>(["fix available", "no fix", "ignored by Debian"]);

/** The findings of a predicate that {@link vulnerabilitiesPredicate} made; what others made of it is left out. */
export function findingsOf(predicate: Predicate): readonly Finding[] {
  return asArray(asObject(predicate["scanner"])?.["result"]).flatMap((item) => {
    const entry = asObject(item);
    const said = asObject(asArray(entry?.["annotations"])[0]);
    return entry === undefined || said === undefined ? [] : (findingOf(entry, said) ?? []);
  });
}

function findingOf(entry: Fields, said: Fields): Finding | undefined {
  const [id, state, ecosystem, source, version] = [
    entry["id"],
    said["state"],
    said["ecosystem"],
    said["source"],
    said["version"],
  ].map(asText);
  if (!id || !state || !states.has(state) || !ecosystem || !source || version === undefined) return undefined;
  return {
    id,
    aliases: asTexts(said["aliases"]),
    state: state as FindingState,
    ecosystem: ecosystem as Finding["ecosystem"],
    source,
    version,
    fixed: asText(said["fixed"]) ?? null,
    reason: asText(said["reason"]) ?? null,
    summary: asText(said["summary"]) ?? "",
    severity: [],
    purls: asTexts(said["purls"]),
  };
}
