import type { Failure, TrustDecision } from "../ledger/event.ts";
import { shortName } from "../ledger/revocations.ts";
import type { EnvironmentRecord } from "../ledger/state.ts";

/** Where something would have been released. */
export type Place = Pick<EnvironmentRecord, "app" | "environment" | "live">;

/** Why a release was not made, or its rollout ended. @param what `v3` */
export function revokedFailure(record: Place, what: string, reason: string): Failure {
  return {
    code: "ARTIFACT_REVOKED",
    summary: `Cannot start ${what} of ${record.app} in ${record.environment}: ${reason}`,
    hint: `build it anew from what is not revoked; if the revocation was a mistake, \`bronze revoke ARTIFACT --undo\` lifts it; ${servesText(record)}`,
    evidence: [],
  };
}

/** Why a release was not made. @param reasons what is missing or wrong */
export function unverifiedFailure(
  record: Place,
  { artifact, origin }: TrustDecision,
  reasons: readonly string[],
): Failure {
  const remedy =
    origin === "built"
      ? "`bronze build` makes it and its evidence anew"
      : "it was not built here: `bronze attest` says for it what you know of it";
  return {
    code: "ARTIFACT_UNVERIFIED",
    summary: `Cannot release artifact ${shortName(artifact)} of ${record.app} in ${record.environment}: ${reasons.join("; ")}`,
    hint: `${remedy}; \`bronze verify ${shortName(artifact)}\` tells more; \`trust: warn\` in the environment lets it through; ${servesText(record)}`,
    evidence: [],
  };
}

function servesText({ live }: Place): string {
  return live === null ? "no release serves" : `v${live.release} serves on`;
}
