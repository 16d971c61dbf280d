import type { SetCount } from "../../ledger/event.ts";
import type { RolloutProgress } from "../../ledger/state.ts";
import type { SetName } from "../../model/names.ts";
import { wholeWeight } from "../../model/strategy.ts";

/** A set that serves, or is to, as numbers. */
export interface StrategySet {
  readonly set: SetName;
  /** How many `web` instances it is to have now. */
  readonly count: number;
  /** How many of them answer requests: healthy as far as is known, known to the router, not to be ended. */
  readonly serving: number;
  /** How many of those can be counted on: healthy for as long as the content asks for. */
  readonly available: number;
}

/** What a strategy decides from. */
export interface StrategyInput {
  /** How many instances are wanted in the end. */
  readonly desired: number;
  /** What is on its way. */
  readonly next: StrategySet;
  readonly live: StrategySet;
  /** Of rolling rollouts that were ended; oldest first. */
  readonly leaving: readonly StrategySet[];
  readonly progress: RolloutProgress;
  /** Whether what was measured at this step lets it go on; true where nothing is measured. */
  readonly passed: boolean;
  readonly nowMs: number;
}

/** What is to be recorded next: a step is reached. */
export interface NextStep {
  readonly step: number;
  /** Share of the requests that what is on its way is to have, in 1/10000. */
  readonly weight: number;
  readonly reason: string;
  /** Numbers that are no fold of the settings. */
  readonly counts?: readonly SetCount[];
  readonly instances?: number;
  /** It stands still at this step until a person resumes: why. */
  readonly pause?: string;
}

/** What a strategy decided. */
export interface StrategyPlan {
  /** How many `web` instances each set is to have; one that is not named has as many as it has now. */
  readonly counts: ReadonlyMap<SetName, number>;
  /** Share of the requests of each set, in 1/10000; together all of them. */
  readonly weights: ReadonlyMap<SetName, number>;
  readonly step?: NextStep;
  /** Whether the switch may come. */
  readonly ready: boolean;
}

/** Whether so many of a set can be counted on as it is to have. */
export function isWhole({ available }: StrategySet, count: number): boolean {
  return available >= count;
}

/** `3 of 4 instances ready` */
export function readyText({ available }: StrategySet, count: number): string {
  return `${Math.min(available, count)} of ${count} ${count === 1 ? "instance" : "instances"} ready`;
}

/**
 * Shares all requests out in proportion to the instances that answer; with none, the first set has them all.
 *
 * @param weight what is to be shared, in 1/10000
 * @returns shares whose sum is `weight` exactly
 */
export function shareByInstances(sets: readonly StrategySet[], weight = wholeWeight): Map<SetName, number> {
  let total = 0;
  for (const { serving } of sets) total += serving;
  const shares = new Map<SetName, number>();
  let left = weight;
  for (const { set, serving } of sets) {
    const share = total === 0 ? (shares.size === 0 ? weight : 0) : Math.floor((weight * serving) / total);
    shares.set(set, share);
    left -= share;
  }
  if (left === 0) return shares;
  // What rounding leaves goes to those that lost most by it.
  const restOf = ({ serving }: StrategySet): number => ((weight * serving) / total) % 1;
  for (const { set } of sets.toSorted((a, b) => restOf(b) - restOf(a))) {
    if (left === 0) break;
    shares.set(set, (shares.get(set) ?? 0) + 1);
    left -= 1;
  }
  return shares;
}

/** A share for what is on its way, and the rest for those that served before it; it has none while nothing of it answers. */
export function shareWithNext({ next, live, leaving }: StrategyInput, weight: number): Map<SetName, number> {
  const own = next.serving > 0 ? weight : 0;
  return shareByInstances([live, ...leaving], wholeWeight - own).set(next.set, own);
}
