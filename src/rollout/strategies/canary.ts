import { weightText, wholeWeight, type Strategy } from "../../model/strategy.ts";
import { isWhole, readyText, shareWithNext, type StrategyInput, type StrategyPlan } from "./shape.ts";

type Canary = Extract<Strategy, { kind: "canary" }>;

/** Instances that answer a share of the requests: as large a share of those wanted, at least one. */
export function canaryCount(weight: number, desired: number): number {
  return Math.min(desired, Math.max(1, Math.ceil((weight * desired) / wholeWeight)));
}

/**
 * A growing share of the requests, step by step; what is live stays whole. After the last step the very same set grows to
 * all its instances and goes live.
 */
export function planCanary({ steps }: Canary, input: StrategyInput): StrategyPlan {
  const { desired, next, progress } = input;
  const weights = shareWithNext(input, progress.weight);
  const current = steps[progress.step - 1];
  const target = progress.hurried ? undefined : steps[progress.step];
  const stays = progress.paused !== null || isHeld({ steps }, input);
  if (stays && current !== undefined)
    return { counts: new Map([[next.set, canaryCount(current.weight, desired)]]), weights, ready: false };
  const count = target === undefined ? desired : canaryCount(target.weight, desired);
  const counts = new Map([[next.set, count]]);
  if (stays || !isWhole(next, count)) return { counts, weights, ready: false };
  if (target === undefined) return { counts, weights, ready: true };
  const { weight, holdMs } = target;
  const step = { step: progress.step + 1, weight, reason: readyText(next, count) };
  const pause = holdMs === null ? { pause: `a person lets it go on from ${weightText(weight)} of the requests` } : {};
  return { counts, weights, ready: false, step: { ...step, ...pause } };
}

/** Whether the step that was reached is to last longer. */
function isHeld({ steps }: Pick<Canary, "steps">, { progress, passed, nowMs }: StrategyInput): boolean {
  const current = steps[progress.step - 1];
  if (current === undefined || progress.hurried) return false;
  return nowMs < progress.sinceMs + (current.holdMs ?? 0) || (current.analyse && !passed);
}

/** When the time of the step that was reached is over, ms since the epoch; null: time alone changes nothing. */
export function canaryHoldEndMs(
  { steps }: Canary,
  { step, sinceMs, paused, hurried }: StrategyInput["progress"],
): number | null {
  const holdMs = steps[step - 1]?.holdMs ?? null;
  return holdMs === null || paused !== null || hurried ? null : sinceMs + holdMs;
}
