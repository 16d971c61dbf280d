import type { Digest } from "../model/canonical.ts";
import { blockOf } from "../ledger/revocations.ts";
import { digestNow } from "../ledger/secrets.ts";
import type { EnvironmentRecord, ReleaseRecord, SetRecord } from "../ledger/state.ts";
import { isIrreversible } from "./tasks.ts";

/**
 * The release a rollback without a version goes to: the nearest earlier proven entry of the line whose content is not
 * what is live, and that neither is revoked nor proved bad.
 *
 * @returns undefined when there is nothing to go to
 */
export function rollbackTarget(record: EnvironmentRecord): ReleaseRecord | undefined {
  if (record.live === null) return undefined;
  const live = record.releases.get(record.live.release);
  for (let i = record.line.length - 2; i >= 0; i -= 1) {
    const release = record.releases.get(record.line[i] ?? 0);
    if (release !== undefined && (isBlocked(record, release) || isQuarantined(record, release))) continue;
    // With the secrets of now it may be what is live.
    if (release !== undefined && digestNow(record, release) !== live?.digest && isProven(record, release.digest))
      return release;
  }
  return undefined;
}

/** Whether a release's artifact is revoked, or was made from what is. */
export function isBlocked({ revocations }: EnvironmentRecord, { content }: ReleaseRecord): boolean {
  return blockOf(revocations, content.artifact) !== undefined;
}

/** Whether a release's content proved bad here, and nothing has ended that since. */
export function isQuarantined(record: EnvironmentRecord, release: ReleaseRecord): boolean {
  return record.quarantined.size > 0 && record.quarantined.has(digestNow(record, release));
}

/** Whether any release of this content came through its watch, or is a rollback to one that did. */
export function isProven(record: EnvironmentRecord, digest: Digest): boolean {
  for (const release of record.releases.values()) {
    if (release.digest === digest && release.proof === "proven") return true;
  }
  return false;
}

/**
 * Releases that going back to an artifact goes behind, though their commands ran and are not reversible: those since it
 * served last. Oldest first; none where it is live, or never was.
 */
export function leftBehind(record: EnvironmentRecord, artifact: Digest): readonly number[] {
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  if (live?.content.artifact === artifact) return [];
  let left: number[] | undefined;
  for (const release of record.releases.values()) {
    if (release.content.artifact !== artifact) {
      if (isIrreversible(release)) left?.push(release.number);
    } else if (release.rollout === "completed") left = [];
  }
  return left ?? [];
}

/** Whether a release's content has ever been live. */
export function hasServed(record: EnvironmentRecord, release: ReleaseRecord): boolean {
  const { digest } = originOf(record, release);
  return [...record.releases.values()].some((one) => one.digest === digest && one.rollout === "completed");
}

/** The release in whose name a content first went live: `v4 (= v2)` leads to v2. */
export function originOf(record: EnvironmentRecord, release: ReleaseRecord): ReleaseRecord {
  return (release.of === null ? undefined : record.releases.get(release.of)) ?? release;
}

/** A set that runs this content and may serve again: live, next or warm; never one that is ending. */
export function setOfContent(record: EnvironmentRecord, digest: Digest): SetRecord | undefined {
  for (const set of record.sets.values()) {
    if (set.digest === digest && set.role !== "ending" && !set.takenBack) return set;
  }
  return undefined;
}

/** The rollout that a rollback without a release only ends: what is live serves all along, so there is nothing to go back from. */
export function pendingDeploy(record: EnvironmentRecord): ReleaseRecord | undefined {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return active?.type === "deploy" && record.live !== null ? active : undefined;
}
