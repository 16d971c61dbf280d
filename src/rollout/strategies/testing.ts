import { noProgress, type RolloutProgress } from "../../ledger/state.ts";
import type { SetName } from "../../model/names.ts";
import { set } from "../testing.ts";
import type { StrategyInput, StrategySet } from "./shape.ts";

/** Helpers of the strategies' tests: sets as numbers. */
export const nothingYet: RolloutProgress = noProgress(0);

/** @param available all where nothing is said */
export function numbers(release: number, count: number, available = count): StrategySet {
  return { set: set(release), count, serving: available, available };
}

/** v2 on its way, v1 live. */
export function input(
  desired: number,
  sets: { readonly live: StrategySet; readonly next: StrategySet },
  change: Partial<StrategyInput> = {},
): StrategyInput {
  return { desired, ...sets, leaving: [], progress: nothingYet, passed: true, nowMs: 0, ...change };
}

/** In the order of the releases. */
export function listed(counts: ReadonlyMap<SetName, number>): readonly number[] {
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
}
