import { shortName } from "../ledger/revocations.ts";
import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { TrustStatus } from "../model/api/trust.ts";
import { becomesOf, whyBlocked } from "../rollout/revoked.ts";
import { modeFor } from "./admission.ts";

/** What is known of the artifact of what is live; null: nothing is live, or nobody has looked at it. */
export function trustStatus(record: EnvironmentRecord): TrustStatus | null {
  const release = record.live === null ? undefined : record.releases.get(record.live.release);
  const known = release === undefined ? undefined : record.trust.get(release.content.artifact);
  const revoked = release === undefined ? undefined : whyBlocked(record, release);
  const { trust } = record.settings;
  if (known === undefined && revoked === undefined && trust !== "off") return null;
  if (release === undefined) return null;
  const { origin, reasons } = known ?? { origin: "imported", reasons: [] };
  return { mode: modeFor(trust, origin), origin, reasons: trust === "off" ? [] : reasons, revoked: revoked ?? null };
}

/** What is not as it should be with the artifact of what is live, in words. */
export function trustWarnings(record: EnvironmentRecord): readonly string[] {
  const status = trustStatus(record);
  const release = record.live === null ? undefined : record.releases.get(record.live.release);
  if (status === null || release === undefined) return [];
  const { number, content } = release;
  return [
    ...(status.revoked === null ? [] : [`v${number} runs what is revoked: ${status.revoked}; ${becomesOf(record)}`]),
    ...(status.reasons.length === 0
      ? []
      : [
          `v${number} is not verified: ${status.reasons.join("; ")} (\`bronze verify ${shortName(content.artifact)}\`)`,
        ]),
  ];
}

/** Why a rollback to a release would be refused, as far as it has been looked at; undefined: it would not. */
export function whyUntrusted(record: EnvironmentRecord, { content }: ReleaseRecord): string | undefined {
  const known = record.trust.get(content.artifact);
  if (known === undefined || known.reasons.length === 0) return undefined;
  return modeFor(record.settings.trust, known.origin) === "enforce" ? known.reasons.join("; ") : undefined;
}
