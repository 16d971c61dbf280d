import type { TrafficCounts } from "../model/observation.ts";
import { baselineWindowMs, type TrafficShare } from "./watch.ts";

interface Sample {
  readonly atMs: number;
  readonly requests: number;
  readonly errors: number;
}

/** Samples of one set's growing counts, enough to tell what happened in any stretch of the last minute. */
export interface TrafficWindow {
  readonly epoch: string;
  readonly samples: readonly Sample[];
}

export const emptyWindow: TrafficWindow = { epoch: "", samples: [] };

/**
 * Adds a sample and forgets what is older than the longest stretch. A new epoch begins anew, from nothing: what its
 * first sample tells came after the sample before it.
 */
export function addSample(window: TrafficWindow, counts: TrafficCounts, atMs: number): TrafficWindow {
  const last = window.samples.at(-1);
  // As long as nothing happens the stretch that this tells of has no end.
  if (window.epoch === counts.epoch && last?.requests === counts.requests && last.errors === counts.status["5xx"])
    return window;
  const sample: Sample = { atMs, requests: counts.requests, errors: counts.status["5xx"] };
  if (window.epoch !== counts.epoch) {
    return { epoch: counts.epoch, samples: [{ atMs: atMs - 1, requests: 0, errors: 0 }, sample] };
  }
  const oldest = atMs - baselineWindowMs;
  // One sample at or before the stretch's begin is needed to subtract from.
  let first = 0;
  while (first + 1 < window.samples.length && (window.samples[first + 1]?.atMs ?? atMs) <= oldest) first += 1;
  return { epoch: counts.epoch, samples: [...(first === 0 ? window.samples : window.samples.slice(first)), sample] };
}

/**
 * Requests and errors of the last `stretchMs`, never of before `sinceMs`.
 *
 * @param sinceMs ms since the epoch
 */
export function shareOf(window: TrafficWindow, stretchMs: number, sinceMs: number, nowMs: number): TrafficShare {
  const { samples } = window;
  const newest = samples.at(-1);
  if (newest === undefined) return { requests: 0, errors: 0 };
  const from = Math.max(nowMs - stretchMs, sinceMs);
  let at = samples.length - 1;
  while (at > 0 && (samples[at]?.atMs ?? from) > from) at -= 1;
  const base = samples[at] ?? newest;
  return { requests: newest.requests - base.requests, errors: newest.errors - base.errors };
}
