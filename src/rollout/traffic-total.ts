import type { TrafficCounts } from "../model/observation.ts";
import type { TrafficShare } from "./watch.ts";

/** What a set answered since someone began to count, whatever became of the counter meanwhile. */
export interface TrafficTotal extends TrafficShare {
  /** Requests by latency: those at most as slow as the bound of the same place. */
  readonly latency: readonly number[];
  readonly boundsMs: readonly number[];
  /** How often some of it may have been missed. */
  readonly gaps: number;
  /** The counter as it was last; null: the set was not counted yet. */
  readonly last: TrafficCounts | null;
}

/** @param counts the counter now; undefined: the set is not counted yet */
export function beginTotal(counts: TrafficCounts | undefined): TrafficTotal {
  return { requests: 0, errors: 0, latency: [], boundsMs: [], gaps: 0, last: counts ?? null };
}

/** A total with what came since. A counter that began anew tells only what came after that. */
export function addTotal(total: TrafficTotal, counts: TrafficCounts | undefined): TrafficTotal {
  const { last } = total;
  if (counts === undefined || counts === last) return total;
  const isAnew = last !== null && last.epoch !== counts.epoch;
  const before = last === null || isAnew ? null : last;
  const { boundsMs } = counts.latency;
  const latency = counts.latency.counts.map(
    (count, at) => (total.latency[at] ?? 0) + count - (before?.latency.counts[at] ?? 0),
  );
  return {
    requests: total.requests + counts.requests - (before?.requests ?? 0),
    errors: total.errors + counts.status["5xx"] - (before?.status["5xx"] ?? 0),
    latency,
    boundsMs,
    gaps: total.gaps + (isAnew ? 1 : 0) + (before === null ? 0 : counts.gaps - before.gaps),
    last: counts,
  };
}

/** What came between two looks at a total. */
export function totalSince(now: TrafficTotal, before: TrafficTotal): TrafficTotal {
  return {
    ...now,
    requests: now.requests - before.requests,
    errors: now.errors - before.errors,
    latency: now.latency.map((count, at) => count - (before.latency[at] ?? 0)),
    gaps: now.gaps - before.gaps,
  };
}

/**
 * The latency that a share of requests did not exceed, in ms; null where there are too few to tell: with fewer than
 * 1/(1-share) requests it would be nothing but the slowest one. Between two bounds it is taken to grow evenly.
 */
export function percentileMs({ latency, boundsMs }: TrafficTotal, share: number): number | null {
  const all = latency.reduce((sum, count) => sum + count, 0);
  if (all === 0 || all < Math.round(1 / (1 - share))) return null;
  const wanted = share * all;
  let below = 0;
  for (const [at, count] of latency.entries()) {
    if (count > 0 && below + count >= wanted) {
      const from = boundsMs[at - 1] ?? 0;
      const to = boundsMs[at] ?? from;
      // Beyond the last bound nothing is known but that it was slower.
      return Number.isFinite(to) ? from + ((to - from) * (wanted - below)) / count : from;
    }
    below += count;
  }
  return null;
}
