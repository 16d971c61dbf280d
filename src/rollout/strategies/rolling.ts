import { isNone, type Amount, type Strategy } from "../../model/strategy.ts";
import type { SetName } from "../../model/names.ts";
import {
  isWhole,
  readyText,
  shareByInstances,
  type NextStep,
  type StrategyInput,
  type StrategyPlan,
  type StrategySet,
} from "./shape.ts";

type Rolling = Extract<Strategy, { kind: "rolling" }>;

/** How far numbers of instances may leave what is wanted. */
export interface Fenceposts {
  /** Most instances above it. */
  readonly surge: number;
  /** Most ready ones below it. */
  readonly unavailable: number;
}

/**
 * Both bounds in instances: surge rounded up, unavailable down; where both come to nothing one may be missing.
 *
 * @see Kubernetes, `ResolveFenceposts` of the Deployment controller
 */
export function resolveFenceposts(maxSurge: Amount, maxUnavailable: Amount, desired: number): Fenceposts {
  const surge = resolve(maxSurge, desired, Math.ceil);
  const unavailable = resolve(maxUnavailable, desired, Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function resolve(amount: Amount, desired: number, round: (value: number) => number): number {
  if (isNone(amount)) return 0;
  return typeof amount === "number" ? amount : round((Number.parseInt(amount, 10) * desired) / 100);
}

/**
 * How many instances the new set is to have: as many more as all sets together leave room for.
 *
 * @param total of all sets, the new one's among them
 * @see Kubernetes, `NewRSNewReplicas`
 */
export function newSetCount(desired: number, surge: number, next: number, total: number): number {
  // Fewer are wanted than it has.
  if (next > desired) return desired;
  const most = desired + surge;
  if (total >= most) return next;
  return next + Math.min(most - total, desired - next);
}

/**
 * How many instances the old sets are to have: those that are not ready go first, then as many ready ones as there are
 * above the least. What the new set still waits for makes no room.
 *
 * @param old oldest first
 * @see Kubernetes, `reconcileOldReplicaSets`
 */
export function oldSetCounts(
  desired: number,
  unavailable: number,
  next: StrategySet,
  old: readonly StrategySet[],
): readonly StrategySet[] {
  const least = desired - unavailable;
  const most = countOf([...old, next]) - least - (next.count - next.available);
  if (countOf(old) === 0 || most <= 0) return old;
  return scaleDownOld(least, next, cleanUpUnready(old, most, availableOf([...old, next]) < least));
}

/**
 * Takes at most so many instances that are not ready away: those that do not even answer first, of whatever set.
 *
 * @param isShort too few are ready: of the others those that answer are needed as well
 * @see Kubernetes, `cleanupUnhealthyReplicas`
 */
export function cleanUpUnready(old: readonly StrategySet[], most: number, isShort = false): readonly StrategySet[] {
  let left = most;
  const without = (sets: readonly StrategySet[], kept: (one: StrategySet) => number): readonly StrategySet[] =>
    sets.map((one) => {
      const fewer = Math.max(0, Math.min(left, one.count - kept(one)));
      left -= fewer;
      return fewer === 0 ? one : { ...one, count: one.count - fewer };
    });
  const answering = without(old, ({ serving, available }) => Math.max(serving, available));
  return left === 0 || isShort ? answering : without(answering, ({ available }) => available);
}

/** Takes ready instances away, down to the least. @see Kubernetes, `scaleDownOldReplicaSetsForRollingUpdate` */
export function scaleDownOld(least: number, next: StrategySet, old: readonly StrategySet[]): readonly StrategySet[] {
  let left = Math.max(0, availableOf([...old, next]) - least);
  return old.map((one) => {
    const fewer = Math.min(left, one.count);
    left -= fewer;
    return { ...one, count: one.count - fewer };
  });
}

/**
 * What sets are to have when another number is wanted in the middle: one set alone all of it; several each their part of
 * the difference, what rounding leaves going to the largest, of equal ones the newest when more are wanted and the oldest
 * when fewer are.
 *
 * @param old oldest first
 * @param from most instances of all sets before
 * @param to most instances of all sets now
 * @see Kubernetes, `scale` of the Deployment controller
 */
export function scaleProportionally(
  desired: number,
  next: StrategySet,
  old: readonly StrategySet[],
  { from, to }: { readonly from: number; readonly to: number },
): ReadonlyMap<SetName, number> {
  const all = [...old, next];
  const counts = new Map(all.map(({ set, count }) => [set, count]));
  const active = all.filter(({ count }) => count > 0);
  const only = active.length === 0 ? next : active.length === 1 ? active[0] : undefined;
  if (only !== undefined) return counts.set(only.set, desired);
  // All that is wanted is there already: nothing of the old is needed.
  if (next.count === desired && next.available >= desired) {
    for (const { set } of old) counts.set(set, 0);
    return counts;
  }
  const allowed = desired > 0 ? to : 0;
  const difference = allowed - countOf(active);
  const age = new Map(all.map(({ set }, place) => [set, place]));
  const ageOf = ({ set }: StrategySet): number => age.get(set) ?? 0;
  const order = active.toSorted(
    (a, b) => b.count - a.count || (difference > 0 ? ageOf(b) - ageOf(a) : ageOf(a) - ageOf(b)),
  );
  let given = 0;
  for (const { set, count } of order) {
    const part = difference === 0 ? 0 : proportion(count, desired, { from, to }, difference - given);
    given += part;
    counts.set(set, count + part);
  }
  const [largest] = order;
  if (largest !== undefined && difference !== 0)
    counts.set(largest.set, Math.max(0, (counts.get(largest.set) ?? 0) + difference - given));
  // What is beyond the number that is wanted in the end would only be started to be ended.
  for (const { set, count } of all) counts.set(set, Math.min(counts.get(set) ?? count, Math.max(count, desired)));
  return counts;
}

/** A set's part of the difference; never more than what is left of it. */
function proportion(
  count: number,
  desired: number,
  { from, to }: { readonly from: number; readonly to: number },
  left: number,
): number {
  if (left === 0) return 0;
  const fraction = desired === 0 ? -count : Math.round((count * to) / from) - count;
  return left > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
}

/**
 * Some instances at a time: the new set grows as far as surge allows, the old ones shrink as far as enough are ready. Each
 * set has requests by the instances of it that can be counted on.
 */
export function planRolling(strategy: Rolling, input: StrategyInput): StrategyPlan {
  const { desired, next, progress } = input;
  const sets = [...oldOf(input), next];
  const weights = shareByInstances(sets);
  const counts = rollingCounts(strategy, input);
  const changed = progress.instances !== desired || sets.some(({ set, count }) => counts.get(set) !== count);
  const weight = weights.get(next.set) ?? 0;
  return {
    counts,
    weights,
    ready: progress.paused === null && next.count === desired && isWhole(next, desired),
    ...(changed ? { step: stepTo(input, counts, weight) } : {}),
  };
}

function oldOf({ live, leaving }: StrategyInput): readonly StrategySet[] {
  return [live, ...leaving];
}

function stepTo(input: StrategyInput, counts: ReadonlyMap<SetName, number>, weight: number): NextStep {
  const { desired, next, progress } = input;
  const own = counts.get(next.set) ?? next.count;
  const others = [...counts].reduce((sum, [set, count]) => (set === next.set ? sum : sum + count), 0);
  const reason =
    progress.instances !== null && progress.instances !== desired
      ? `${desired} instances are wanted now: ${own} new and ${others} old ones from here on`
      : `${readyText(next, desired)}: ${own} new and ${others} old ones from here on`;
  return {
    step: progress.step + 1,
    weight,
    reason,
    counts: [...counts].map(([set, count]) => ({ set, count })),
    instances: desired,
  };
}

function rollingCounts({ maxSurge, maxUnavailable }: Rolling, input: StrategyInput): ReadonlyMap<SetName, number> {
  const { desired, next, progress } = input;
  const old = oldOf(input);
  const { surge, unavailable } = resolveFenceposts(maxSurge, maxUnavailable, desired);
  const counts = new Map([...old, next].map(({ set, count }) => [set, count]));
  const isScaled = progress.instances !== null && progress.instances !== desired;
  // It may have more than surge allows: a part of that would be taken from what serves.
  if (progress.hurried && (isScaled || progress.paused === null)) return counts.set(next.set, desired);
  if (progress.instances !== null && isScaled) {
    const from = progress.instances + resolveFenceposts(maxSurge, maxUnavailable, progress.instances).surge;
    return scaleProportionally(desired, next, old, { from, to: desired + surge });
  }
  if (progress.paused !== null) return counts;
  const grown = newSetCount(desired, surge, next.count, countOf([...old, next]));
  if (grown !== next.count) return counts.set(next.set, grown);
  for (const { set, count } of oldSetCounts(desired, unavailable, next, old)) counts.set(set, count);
  return counts;
}

function countOf(sets: readonly StrategySet[]): number {
  return sets.reduce((sum, { count }) => sum + count, 0);
}

function availableOf(sets: readonly StrategySet[]): number {
  return sets.reduce((sum, { available }) => sum + available, 0);
}
