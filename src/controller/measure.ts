import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { TrafficCounts } from "../model/observation.ts";
import type { SetName } from "../model/names.ts";
import type { Clock } from "../ports/clock.ts";
import type { Router } from "../ports/router.ts";
import { sleep } from "./sleep.ts";

/** How often the replaced set is asked whether it still has requests, in ms. */
const pollMs = 50;
/** Time that log lines of finished requests need to arrive, in ms. */
const logLagMs = 250;

/** The router's counts of an environment at one moment. */
export type CountsAt = ReadonlyMap<SetName, TrafficCounts>;

/** Takes the counts when a rollout starts. */
export function countsNow(router: Router): CountsAt {
  return new Map(router.traffic());
}

/** Requests answered and failed since `start`; null where lines were lost or counting began anew. */
export interface Measurement {
  readonly requests: number | null;
  readonly failed: number | null;
}

/**
 * Waits until the replaced set has nothing in flight (or its drain deadline), then counts what the environment's sets
 * answered since `start`.
 */
export async function measureRollout(options: {
  readonly router: Router;
  readonly clock: Clock;
  readonly record: EnvironmentRecord;
  readonly release: ReleaseRecord;
  readonly replaced: SetName | null;
  readonly start: CountsAt;
  readonly signal: AbortSignal;
}): Promise<Measurement | null> {
  const { router, clock, record, release, replaced, start, signal } = options;
  const sets = new Set<SetName>([...record.sets.keys(), release.set]);
  const until = clock.monotonic() + release.content.settings.drainMs;
  while (replaced !== null && clock.monotonic() < until && !signal.aborted) {
    const open = await router.inFlight(replaced).catch(() => undefined);
    if (open !== undefined && [...open.values()].every((count) => count === 0)) break;
    await sleep(clock, pollMs, signal);
  }
  await sleep(clock, logLagMs, signal);
  return signal.aborted ? null : difference(sets, start, countsNow(router));
}

/** What a set of sets answered between two looks. */
export function difference(sets: Iterable<SetName>, start: CountsAt, end: CountsAt): Measurement {
  let requests = 0;
  let failed = 0;
  for (const set of sets) {
    const after = end.get(set);
    const before = start.get(set);
    if (after === undefined) {
      if (before !== undefined) return { requests: null, failed: null };
      continue;
    }
    if (after.gap || (before !== undefined && before.epoch !== after.epoch)) return { requests: null, failed: null };
    requests += after.requests - (before?.requests ?? 0);
    failed += after.status["5xx"] + after.aborted - (before?.status["5xx"] ?? 0) - (before?.aborted ?? 0);
  }
  return { requests, failed };
}
