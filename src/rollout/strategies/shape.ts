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
  const total = sets.reduce((sum, { serving }) => sum + serving, 0);
  if (total === 0) return new Map(sets.map(({ set }, at) => [set, at === 0 ? weight : 0]));
  // What rounding leaves goes to those that lost most by it.
  const shares = sets.map(({ set, serving }) => {
    const exact = (weight * serving) / total;
    return { set, share: Math.floor(exact), rest: exact - Math.floor(exact) };
  });
  let left = weight - shares.reduce((sum, { share }) => sum + share, 0);
  for (const one of shares.toSorted((a, b) => b.rest - a.rest)) {
    if (left === 0) break;
    one.share += 1;
    left -= 1;
  }
  return new Map(shares.map(({ set, share }) => [set, share]));
}

/** A share for what is on its way, and the rest for those that served before it; it has none while nothing of it answers. */
export function shareWithNext({ next, live, leaving }: StrategyInput, weight: number): Map<SetName, number> {
  const own = next.serving > 0 ? weight : 0;
  return new Map([...shareByInstances([live, ...leaving], wholeWeight - own), [next.set, own]]);
}
