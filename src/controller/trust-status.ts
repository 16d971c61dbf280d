import { shortName } from "../ledger/revocations.ts";
import type { EnvironmentRecord } from "../ledger/state.ts";
import { becomesOf, whyBlocked } from "../rollout/revoked.ts";

/** What is not as it should be with the artifact of what is live, in words. */
export function trustWarnings(record: EnvironmentRecord): readonly string[] {
  const release = record.live === null ? undefined : record.releases.get(record.live.release);
  if (release === undefined) return [];
  const revoked = whyBlocked(record, release);
  const { artifact } = release.content;
  const reasons = record.settings.trust === "off" ? [] : (record.trust.get(artifact)?.reasons ?? []);
  return [
    ...(revoked === undefined ? [] : [`v${release.number} runs what is revoked: ${revoked}; ${becomesOf(record)}`]),
    ...(reasons.length === 0
      ? []
      : [`v${release.number} is not verified: ${reasons.join("; ")} (\`bronze verify ${shortName(artifact)}\`)`]),
  ];
}
