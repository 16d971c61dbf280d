import { OperatorError } from "../errors/operator-error.ts";
import { environmentKey, type EnvironmentRecord, type ReleaseRecord } from "../ledger/state.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import { formatDuration } from "../model/quantities.ts";
import type { Controller } from "./controller.ts";

/**
 * The release by which an artifact may come into an environment that has one before it: for a promotion what is live
 * and proven there, for a deploy the newest that proved the artifact there, live or not.
 *
 * @returns undefined where there is no environment before
 * @throws {OperatorError} `PROMOTION_DENIED`, naming what is missing
 */
export function promotedRelease(controller: Controller, request: DeployRequest): ReleaseRecord | undefined {
  const { app, environment, artifact, from } = request;
  if (from === undefined) return undefined;
  const record = controller.state.environments.get(environmentKey(app, from));
  if (request.promote !== true) {
    const proven = [...(record?.releases.values() ?? [])].findLast(
      ({ proof, content }) => proof === "proven" && content.artifact === artifact,
    );
    if (proven !== undefined) return proven;
    throw new OperatorError(
      "PROMOTION_DENIED",
      `Cannot put artifact ${artifact.slice(0, 19)} of ${app} live in ${environment}: it was never proven in ${from}`,
      { hint: `put it live in ${from}; \`bronze promote ${environment}\` brings it on when it is proven there` },
    );
  }
  const denied = (reason: string, hint: string): OperatorError =>
    new OperatorError("PROMOTION_DENIED", `Cannot promote ${app} from ${from} to ${environment}: ${reason}`, { hint });
  const live = record?.releases.get(record.live?.release ?? 0);
  if (record === undefined || live === undefined)
    throw denied(
      `nothing is live in ${from}`,
      `put something live there first; \`bronze releases -e ${from}\` shows what was`,
    );
  const missing = whyUnproven(record, live, controller.ports.clock.now());
  if (missing !== undefined)
    throw denied(
      `v${live.number} is live in ${from} and not proven: ${missing}`,
      `promote it when \`bronze status -e ${from}\` says proven; \`bronze up --wait proven\` waits for it`,
    );
  if (live.content.artifact !== artifact)
    throw denied(`another artifact went live in ${from} meanwhile, with v${live.number}`, "promote again");
  return live;
}

/** In words, what a live release lacks to be proven; undefined when it is. */
function whyUnproven(record: EnvironmentRecord, live: ReleaseRecord, nowMs: number): string | undefined {
  if (live.proof === "proven") return undefined;
  if (live.proof === "taken back") return `it is being taken back, ${live.takenBackBecause}`;
  const held = record.watch?.held ?? null;
  if (held !== null) return `it looks bad (${held.reason}) and is held for a person, which time does not change`;
  const endsInMs = record.watch === null ? 0 : record.watch.startedAtMs + record.settings.watchMs - nowMs;
  const left = `it is watched for another ${formatDuration(Math.max(0, Math.ceil(endsInMs / 1_000) * 1_000))}`;
  return record.watch?.warned === true ? `it looks bad, and ${left}` : left;
}
