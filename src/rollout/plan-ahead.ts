import { noProgress, type RolloutProgress } from "../ledger/state.ts";
import type { PlannedStep } from "../model/api/rollouts.ts";
import type { SetName } from "../model/names.ts";
import { wholeWeight, type Strategy } from "../model/strategy.ts";
import { planStrategy } from "./strategies/plan.ts";
import type { StrategySet } from "./strategies/shape.ts";

/** A rollout needs fewer rounds than this, whatever it begins with. */
const mostRounds = 10_000;
/** Stand for the sets in what planners are given. */
const comingSet = "coming" as SetName;
const liveSet = "live" as SetName;

/**
 * The steps that a rollout takes when all goes well: each instance is ready at once, each analysis passes, and whoever is
 * waited for resumes. By the very planners that the controller asks.
 *
 * @param desired how many instances are wanted in the end
 * @param liveCount how many serve now
 */
export function planAhead(strategy: Strategy, desired: number, liveCount: number): readonly PlannedStep[] {
  const counts = new Map([
    [liveSet, liveCount],
    [comingSet, 0],
  ]);
  let progress: RolloutProgress = noProgress(0);
  let nowMs = 0;
  const steps: PlannedStep[] = [];
  const numbersOf = (set: SetName): StrategySet => {
    const count = counts.get(set) ?? 0;
    return { set, count, serving: count, available: count };
  };
  for (let round = 0; round < mostRounds; round += 1) {
    const [next, live] = [numbersOf(comingSet), numbersOf(liveSet)];
    const plan = planStrategy(strategy, { desired, next, live, leaving: [], progress, passed: true, nowMs });
    const last = steps.pop();
    // Its share, now that its instances are there.
    if (last !== undefined) steps.push({ ...last, weight: plan.weights.get(comingSet) ?? 0 });
    if (plan.ready)
      return [...steps, { step: null, coming: desired, live: live.count, weight: wholeWeight, ...noHold }];
    for (const [set, count] of plan.counts) counts.set(set, count);
    const { step } = plan;
    if (step !== undefined) {
      progress = { ...progress, step: step.step, weight: step.weight, sinceMs: nowMs };
      if (step.instances !== undefined) progress = { ...progress, instances: step.instances };
      const [coming = 0, left = 0] = [counts.get(comingSet), counts.get(liveSet)];
      steps.push({ step: step.step, coming, live: left, weight: step.weight, ...holdOf(strategy, step.step) });
    } else if (counts.get(comingSet) === next.count && counts.get(liveSet) === live.count) {
      // Only time is waited for.
      nowMs += Math.max(1, steps.at(-1)?.holdMs ?? 1);
    }
  }
  throw new Error(`a rollout by ${strategy.kind} of ${desired} instances comes to no end`);
}

const noHold = { holdMs: 0, analyse: false } as const;

/** What comes after a step was reached, before the next. */
function holdOf(strategy: Strategy, step: number): Pick<PlannedStep, "holdMs" | "analyse"> {
  if (strategy.kind === "blue-green") return { holdMs: strategy.holdMs, analyse: strategy.analysis !== undefined };
  const own = strategy.kind === "canary" ? strategy.steps[step - 1] : undefined;
  if (own === undefined || strategy.kind !== "canary") return noHold;
  return { holdMs: own.holdMs, analyse: own.analyse && strategy.analysis !== undefined };
}
