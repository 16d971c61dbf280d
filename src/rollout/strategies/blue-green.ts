import type { Strategy } from "../../model/strategy.ts";
import { isWhole, readyText, shareWithNext, type StrategyInput, type StrategyPlan } from "./shape.ts";

type BlueGreen = Extract<Strategy, { kind: "blue-green" }>;

/** All at once when all are ready; before that, where a hold is asked for, only those see it who ask for it. */
export function planBlueGreen({ holdMs, analysis }: Omit<BlueGreen, "kind">, input: StrategyInput): StrategyPlan {
  const { desired, next, progress, passed, nowMs } = input;
  const counts = new Map([[next.set, desired]]);
  const weights = shareWithNext(input, 0);
  const whole = isWhole(next, desired);
  if (!whole || progress.paused !== null) return { counts, weights, ready: false };
  if ((holdMs === 0 && analysis === undefined) || progress.hurried) return { counts, weights, ready: true };
  if (progress.step === 0) {
    const pause = holdMs === null ? { pause: "a person lets it go live" } : {};
    return { counts, weights, ready: false, step: { step: 1, weight: 0, reason: readyText(next, desired), ...pause } };
  }
  return { counts, weights, ready: passed && nowMs >= progress.sinceMs + (holdMs ?? 0) };
}

/** When its hold is over, ms since the epoch; null: time alone changes nothing. */
export function blueGreenHoldEndMs(
  { holdMs }: Pick<BlueGreen, "holdMs">,
  { step, sinceMs, paused, hurried }: StrategyInput["progress"],
): number | null {
  return holdMs === null || step === 0 || paused !== null || hurried ? null : sinceMs + holdMs;
}
