import type { ErrorRuleSettings } from "../model/analysis.ts";
import type { TrafficShare } from "./watch.ts";

/** What the new content and what is live answered from a run's begin to some moment. */
export interface ComparedCounts {
  readonly fresh: TrafficShare;
  /** null: nothing is to answer beside the new content. */
  readonly live: TrafficShare | null;
}

/** A moment from which evidence is gathered, and the counts then. */
export interface EvidenceStart extends ComparedCounts {
  /** 0, 1, 2, …: how many came before it, kept or not. */
  readonly index: number;
}

export interface ErrorVerdict {
  readonly fires: boolean;
  /** Logarithms of the evidence that the new content's share is above the floor, and that it is above that of what is live. */
  readonly evidence: { readonly floor: number; readonly live: number };
  /** The stretch that tells most. */
  readonly stretch: ComparedCounts;
}

/** Chance that the rule ever fires in a run where nothing is wrong, at the most. */
export const mostFalseAlarms = 0.001;
/** How far from each other the moments are from which evidence is gathered, in ms. */
export const evidenceStartMs = 5_000;
/** Most of them that are kept. */
export const mostEvidenceStarts = 64;

/** What the share may be in truth, in floors. */
const sharesAboveFloor = [1.5, 2, 3, 5, 10, 20, 50];
/** What the odds may be in truth that an error is the new content's, times those that it has where both are alike. */
const oddsAboveLive = [1.5, 2, 3, 5, 10, 30];
const mostShare = 0.99;

/**
 * The rule over the router's counts. It fires when both are shown: the new content's share of errors is above the floor,
 * and it is above `ratio` times the share of what is live in the same stretch (where that is to have any requests).
 *
 * Each is a test by mixtures of likelihood ratios, which is an e-process: where nothing is wrong, the chance that it
 * ever exceeds 1/α is at most α, however often one looks (Ville's inequality). Requests above the floor are a sequence
 * of coins; errors of two contents alike come from the new one with the chance that its share of requests gives, whatever
 * else makes both fail. Both begin anew every 5 s with less and less weight, all weights summing to one, so that what
 * goes wrong late is not hidden by what went well before.
 *
 * @see Robbins, Statistical methods related to the law of the iterated logarithm, 1970 (mixtures)
 * @see Lindon, Malek: Anytime-valid inference for multinomial count data, arXiv 2011.03567
 * @see Shin, Ramdas, Rinaldo: E-detectors, arXiv 2203.03532
 */
export function judgeErrors(
  rule: ErrorRuleSettings,
  starts: readonly EvidenceStart[],
  now: ComparedCounts,
): ErrorVerdict {
  const above: number[] = [];
  const beyond: number[] = [];
  let most = Number.NEGATIVE_INFINITY;
  let stretch: ComparedCounts = now;
  for (const start of starts) {
    const since = minus(now, start);
    const weight = -Math.log((start.index + 1) * (start.index + 2));
    const floor = weight + evidenceAboveFloor(rule.floor, since.fresh);
    const live = since.live === null ? null : weight + evidenceBeyondLive(rule.ratio, since.fresh, since.live);
    above.push(floor);
    if (live !== null) beyond.push(live);
    const both = Math.min(floor, live ?? floor);
    if (both <= most) continue;
    most = both;
    stretch = since;
  }
  const floor = logSum(above);
  // Nothing to compare with: what is above the floor is taken for the new content's.
  const live = beyond.length === 0 ? floor : logSum(beyond);
  const enough = -Math.log(mostFalseAlarms);
  return {
    fires: floor >= enough && live >= enough,
    evidence: { floor: rounded(floor), live: rounded(live) },
    stretch,
  };
}

/** Starts with one more, and no more than are kept: of the older half every second goes, the first one never. */
export function withStart(starts: readonly EvidenceStart[], counts: ComparedCounts): readonly EvidenceStart[] {
  const next = [...starts, { index: (starts.at(-1)?.index ?? -1) + 1, fresh: counts.fresh, live: counts.live }];
  if (next.length <= mostEvidenceStarts) return next;
  return next.filter((_, at) => at % 2 === 0 || at >= next.length / 2);
}

/** How likely requests and errors are at the shares above the floor, against the floor itself: log of the mean ratio. */
function evidenceAboveFloor(floor: number, { requests, errors }: TrafficShare): number {
  const shares = sharesAboveFloor.map((times) => times * floor).filter((share) => share <= mostShare);
  return (
    logSum(
      shares.map(
        (share) => errors * Math.log(share / floor) + (requests - errors) * (Math.log1p(-share) - Math.log1p(-floor)),
      ),
    ) - Math.log(shares.length)
  );
}

/** The same for whose the errors are, against both contents alike but for the ratio. */
function evidenceBeyondLive(ratio: number, fresh: TrafficShare, live: TrafficShare): number {
  // One more for what is live: by chance the first few requests are all the new content's.
  const odds = (ratio * fresh.requests) / (live.requests + 1);
  const alike = odds / (1 + odds);
  if (odds === 0) return 0;
  return (
    logSum(
      oddsAboveLive.map((times) => {
        const share = (times * odds) / (1 + times * odds);
        return fresh.errors * Math.log(share / alike) + live.errors * (Math.log(1 - share) - Math.log(1 - alike));
      }),
    ) - Math.log(oddsAboveLive.length)
  );
}

function minus(now: ComparedCounts, start: ComparedCounts): ComparedCounts {
  const difference = (a: TrafficShare, b: TrafficShare): TrafficShare => ({
    requests: a.requests - b.requests,
    errors: a.errors - b.errors,
  });
  const live = now.live === null || start.live === null ? null : difference(now.live, start.live);
  return { fresh: difference(now.fresh, start.fresh), live };
}

/** Logarithm of the sum of what these are logarithms of. */
function logSum(logs: readonly number[]): number {
  const most = Math.max(...logs);
  if (!Number.isFinite(most)) return most;
  return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}

/** Decisions are kept as JSON: digits beyond these say nothing. */
function rounded(log: number): number {
  return Number.isFinite(log) ? Math.round(log * 1000) / 1000 : 0;
}
