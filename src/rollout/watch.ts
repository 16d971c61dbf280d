import type { WatchFigures } from "../ledger/event.ts";

/** Requests and errors (5xx, the router's own included) in some stretch of time. */
export interface TrafficShare {
  readonly requests: number;
  readonly errors: number;
}

/** Length of the stretch that the rule looks at, in ms. */
export const watchWindowMs = 5_000;
/** Length of the stretch of the old content that it is compared with, in ms. */
export const baselineWindowMs = 60_000;

const leastRequests = 20;
const leastShare = 0.05;
const leastRatio = 2;

/** Whether the watch's rule fires, with its numbers. */
export interface WatchVerdict {
  readonly fires: boolean;
  readonly figures: WatchFigures;
}

/**
 * The rule of the watch: at least 20 requests and 5 % errors within 5 s, and twice the old content's share of its last
 * 60 s (0 if it had no requests).
 */
export function judgeWatch(recent: TrafficShare, baseline: TrafficShare): WatchVerdict {
  const share = shareOf(recent.errors, recent.requests);
  const baselineShare = shareOf(baseline.errors, baseline.requests);
  const fires = recent.requests >= leastRequests && share >= leastShare && share >= leastRatio * baselineShare;
  return {
    fires,
    figures: {
      requests: recent.requests,
      errors: recent.errors,
      baselineRequests: baseline.requests,
      baselineErrors: baseline.errors,
    },
  };
}

/** What the rule looked at, in one plain sentence. */
export function watchText({ requests, errors, baselineRequests, baselineErrors }: WatchFigures): string {
  return (
    `${errors} of ${requests} requests within 5 s failed (${percent(shareOf(errors, requests))}), ` +
    `${percent(shareOf(baselineErrors, baselineRequests))} of the content before it in its last 60 s`
  );
}

function shareOf(errors: number, requests: number): number {
  return requests === 0 ? 0 : errors / requests;
}

/** `1.5 %`: a share from 0 to 1, for people. */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}
