import { version } from "../../daemon/version.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import type { Finding } from "../../scan/match.ts";
import {
  findingsOf,
  finishedAt,
  saysTheSame,
  vulnerabilitiesPredicate,
  vulnerabilitiesType,
  type Predicate,
} from "../../scan/predicate.ts";
import { scanPackages, type ScanData, type ScanResult } from "../../scan/result.ts";
import { attest } from "../../store/attestations.ts";
import type { TrustMaterial } from "../../trust/standing.ts";
import { openVulnerabilities } from "../../vulnerabilities/folder.ts";
import type { Keyring } from "../../drivers/keys/keyring.ts";
import type { Context } from "../context.ts";
import { believedStatements } from "../evidence.ts";
import { packagesOf } from "./bill.ts";

/** Data that was imported, until `close`. @throws {OperatorError} `NOT_FOUND` when there is none, `VERIFICATION_FAILED` */
export async function openData({ places }: Context): Promise<ScanData & { close(): void }> {
  const opened = await openVulnerabilities(places.state);
  if (opened === undefined) {
    throw new OperatorError("NOT_FOUND", "Cannot scan: no vulnerabilities were imported yet", {
      hint: "get https://security-tracker.debian.org/tracker/data/json and https://osv-vulnerabilities.storage.googleapis.com/npm/all.zip (or PyPI, Go), then `bronze scan --import FILE` for each",
    });
  }
  const { data, ...rest } = opened;
  const files = data.map(({ digest, format, lastUpdate, ecosystems, problems }) => ({
    digest,
    format,
    lastUpdate,
    ecosystems,
    problems,
  }));
  return { ...rest, files };
}

/** A result that is kept beside its artifact. */
export interface KeptResult {
  readonly artifact: Digest;
  readonly result: ScanResult;
  /** What the last scan before found; null: there was none. */
  readonly before: readonly Finding[] | null;
  /** False: the last result said the same and stays. */
  readonly isNew: boolean;
}

/** Scans an artifact of the store and keeps the result as a signed statement beside it, where it says anything new. */
export async function scanArtifact(
  context: Context,
  { store, keyring, data }: { readonly store: Store; readonly keyring: Keyring; readonly data: ScanData },
  artifact: Digest,
): Promise<KeptResult> {
  const startedAt = new Date().toISOString();
  const trust = await keyring.trust();
  const result = scanPackages(await packagesOf(context, store, artifact, trust), data);
  const predicate = vulnerabilitiesPredicate(result, { version, startedAt, finishedAt: new Date().toISOString() });
  const last = await lastResult(store, artifact, trust);
  const isNew = last === undefined || !saysTheSame(last, predicate);
  if (isNew) await attest(store, keyring, { subject: artifact, predicateType: vulnerabilitiesType, predicate });
  return { artifact, result, before: last === undefined ? null : findingsOf(last), isNew };
}

/** What was found before; a result that is not believed is as good as none. */
async function lastResult(store: Store, artifact: Digest, trust: TrustMaterial): Promise<Predicate | undefined> {
  const results = await believedStatements(store, artifact, vulnerabilitiesType, trust).catch((error: unknown) => {
    if (error instanceof OperatorError && error.code === "VERIFICATION_FAILED") return [];
    throw error;
  });
  const time = (predicate: Predicate): string => finishedAt(predicate) ?? "";
  return results
    .map(({ statement }) => statement.predicate)
    .sort((a, b) => (time(a) < time(b) ? -1 : 1))
    .at(-1);
}
