import type { Strategy } from "../../model/strategy.ts";

/** How many instances may be missing: worked out here anew, so that the planner is not its own judge. */
export function resolvedUnavailable(
  { maxSurge, maxUnavailable }: Extract<Strategy, { kind: "rolling" }>,
  desired: number,
): number {
  const surge = typeof maxSurge === "number" ? maxSurge : Math.ceil((Number(maxSurge.slice(0, -1)) / 100) * desired);
  const unavailable =
    typeof maxUnavailable === "number"
      ? maxUnavailable
      : Math.floor((Number(maxUnavailable.slice(0, -1)) * desired) / 100);
  return surge === 0 && unavailable === 0 ? 1 : unavailable;
}
