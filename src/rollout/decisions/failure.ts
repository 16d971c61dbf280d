import { formatDuration } from "../../model/quantities.ts";
import { longestPauseMs } from "../../model/strategy.ts";
import type { FailReason } from "../step.ts";

/** What there is about the instances and the time of a rollout; instances by name, null: none is so. */
export interface FailureInputs {
  /** Ended before it was healthy. */
  readonly exited: string | null;
  /** Past its deadline and never healthy. */
  readonly late: string | null;
  /** Ends in a row of instances that were healthy. */
  readonly crashes: number;
  /** The newest of those, if it is still there. */
  readonly crashed: string | null;
  /** Was healthy, may have had requests, and fails its probes for too long. */
  readonly failing: string | null;
  /** How long it stands still for a person, in ms; null: it does not. */
  readonly pausedMs: number | null;
  /** How long its deadline is over, in ms; negative: it is not. */
  readonly overdueMs: number;
  /** What it still waited for when its deadline came. */
  readonly waitedFor: string | null;
}

export interface FailureOutcome {
  /** null: it goes on. */
  readonly reason: FailReason | null;
  readonly instance: string | null;
}

/** What was well and ended so often in a row while its rollout was under way keeps ending. */
const crashesUntilFailed = 2;

/** Whether a rollout cannot come through, by the health of its instances and the time it took. */
export function judgeFailure(inputs: FailureInputs): FailureOutcome {
  const { exited, late, crashes, crashed, failing, pausedMs, overdueMs, waitedFor } = inputs;
  if (exited !== null) return { reason: "exited", instance: exited };
  if (late !== null) return { reason: "unhealthy", instance: late };
  if (crashes >= crashesUntilFailed) return { reason: "crashing", instance: crashed };
  if (failing !== null) return { reason: "failing", instance: failing };
  if (pausedMs !== null) return { reason: pausedMs < longestPauseMs ? null : "paused", instance: null };
  return overdueMs < 0 ? { reason: null, instance: null } : { reason: "deadline", instance: waitedFor };
}

export function failureSentence({ crashes, overdueMs }: FailureInputs, { reason, instance }: FailureOutcome): string {
  const name = instance ?? "an instance";
  switch (reason) {
    case null:
      return "it goes on";
    case "exited":
      return `it ends: ${name} ended before it was healthy`;
    case "unhealthy":
      return `it ends: ${name} did not become healthy in its time`;
    case "crashing":
      return `it ends: instances that were healthy keep ending, ${crashes} in a row`;
    case "failing":
      return `it ends: ${name} was healthy and fails its probes`;
    case "paused":
      return `it ends: nobody let it go on within ${formatDuration(longestPauseMs)}`;
    case "deadline":
      return `it ends: its deadline is over by ${formatDuration(overdueMs)}${instance === null ? "" : `, and ${instance} was waited for`}`;
  }
}
