import { blockOf, blockText, shortName } from "../ledger/revocations.ts";
import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { Step } from "./step.ts";
import { leftBehind, rollbackTarget } from "./target.ts";

/** In words why a release's artifact may not be released again; undefined: nothing is in the way. */
export function whyBlocked(record: EnvironmentRecord, { content }: ReleaseRecord): string | undefined {
  const block = blockOf(record.revocations, content.artifact);
  return block === undefined ? undefined : `artifact ${shortName(content.artifact)} ${blockText(block)}`;
}

/** The end of a rollout that brings what is revoked; not of one that changes what is live, and goes on with its artifact. */
export function planRefusal(record: EnvironmentRecord, release: ReleaseRecord): Step | undefined {
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  if (live?.content.artifact === release.content.artifact) return undefined;
  const reason = whyBlocked(record, release);
  return reason === undefined ? undefined : { kind: "refuse", release: release.number, reason };
}

/**
 * Takes back a live release whose artifact is revoked, where its environment wants that and there is something to go to. It
 * is tried once; what serves goes on serving until another does.
 */
export function planReplacement(record: EnvironmentRecord): readonly Step[] {
  const { live, active, switching, settings } = record;
  const release = live === null ? undefined : record.releases.get(live.release);
  if (release === undefined || active !== null || switching !== null || settings.revoked !== "replace") return [];
  const reason = whyBlocked(record, release);
  const target = reason === undefined ? undefined : rollbackTarget(record);
  if (reason === undefined || target === undefined || whyNotReplaced(record) !== undefined) return [];
  return [{ kind: "take-back", release: release.number, to: target.number, figures: null, reason }];
}

/** In words why a live release whose artifact is revoked is not taken back, where its environment wants that. */
export function whyNotReplaced(record: EnvironmentRecord): string | undefined {
  const release = record.live === null ? undefined : record.releases.get(record.live.release);
  if (release === undefined) return undefined;
  const target = rollbackTarget(record);
  if (target === undefined) return "there is no earlier proven release that is not revoked";
  if (leftBehind(record, target.content.artifact).length > 0)
    return `what its release command did is not reversible: \`bronze rollback\` goes back to v${target.number} all the same`;
  const failed = [...record.releases.values()].findLast(
    (one) => one.automatic && one.before === release.number && one.rollout === "aborted",
  );
  if (failed !== undefined) return `going back to v${failed.of ?? 0} failed: ${failed.failure?.summary ?? ""}`;
  return undefined;
}

/** In words, what becomes of a live release whose artifact is revoked. */
export function becomesOf(record: EnvironmentRecord): string {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active !== undefined) return `v${active.number} is on its way in its place`;
  const target = rollbackTarget(record);
  if (record.settings.revoked !== "replace") {
    const way = target === undefined ? "`bronze up` replaces it" : `\`bronze rollback\` goes back to v${target.number}`;
    return `it serves on (revoked: report); ${way}`;
  }
  const held = whyNotReplaced(record);
  return held === undefined && target !== undefined
    ? `it is taken back to v${target.number}`
    : `it serves on, as ${held ?? "nothing is there to go back to"}`;
}
