import type { EventData } from "./event.ts";

const reasons: ReadonlySet<EventData["kind"]> = new Set([
  "release.created",
  "decision.made",
  "rollout.stepped",
  "rollout.paused",
  "rollout.resumed",
  "rollout.hurried",
  "rollout.aborted",
  "traffic.switched",
  "rollout.measured",
  "release.proven",
  "release.taken_back",
  "watch.warned",
  "watch.held",
  "content.quarantined",
]);

/** Whether an event tells why a release came to what it is. */
export function isReason(data: EventData, release: number): boolean {
  return reasons.has(data.kind) && "release" in data && data.release === release;
}
