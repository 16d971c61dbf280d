import { percent, type TrafficShare } from "../watch.ts";

/** What is live, before the new content has any traffic. */
export interface BaselineInputs {
  /** Its release. */
  readonly release: number;
  /** Its last 60 s. */
  readonly recent: TrafficShare;
  /** Its instances that may answer. */
  readonly usable: number;
}

export interface BaselineOutcome {
  /** Whether the rollout goes on without analysis. */
  readonly skip: boolean;
}

const leastRequests = 20;
const leastShare = 0.05;

/** Where what is live fails itself, nothing is analysed: what mends it must be able to come. */
export function judgeBaseline({ recent, usable }: BaselineInputs): BaselineOutcome {
  const fails = recent.requests >= leastRequests && recent.errors / recent.requests >= leastShare;
  return { skip: fails || usable === 0 };
}

export function baselineSentence({ release, recent, usable }: BaselineInputs, { skip }: BaselineOutcome): string {
  const share = recent.requests === 0 ? 0 : recent.errors / recent.requests;
  const answered =
    recent.requests === 0
      ? "had no requests in its last 60 s"
      : `failed ${recent.errors} of ${recent.requests} requests of its last 60 s (${percent(share)})`;
  if (!skip) return `v${release} ${answered}: it is what is compared with`;
  const state = usable === 0 ? "has no instance that answers" : answered;
  return `v${release} ${state}: nothing is analysed, so that what mends it can come`;
}
