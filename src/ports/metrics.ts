/** What is measured outside of the router, all its words replaced. */
export type MetricQuery =
  /** @param url of the server, below which its API is */
  | { readonly kind: "prometheus"; readonly url: string; readonly query: string }
  | {
      readonly kind: "http";
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      /** Where the number stands in a JSON answer, as `a.b[0]`; null: only the status counts. */
      readonly json: string | null;
    }
  | { readonly kind: "command"; readonly command: readonly string[]; readonly env: Readonly<Record<string, string>> };

/** What came of it. */
export type MetricAnswer =
  | {
      readonly kind: "values";
      /** `result`: the number that was asked for; `status`: of HTTP, or with which a command ended. */
      readonly values: { readonly result?: number; readonly status?: number };
    }
  /** There are no samples yet. */
  | { readonly kind: "nothing"; readonly reason: string }
  /** Nobody knows: not reached, not understood, too slow, too long. In words, without what was answered. */
  | { readonly kind: "error"; readonly reason: string };

/** Longest time that one measurement may take, in ms. */
export const longestMeasurementMs = 10_000;
/** Longest answer of one, in bytes. */
export const longestAnswerBytes = 65_536;

/** Measures what others know about a release. Answers in the time and the size above; never throws for what is asked. */
export interface Metrics {
  /** Ends what it began when the signal says so: the answer is an error then. */
  measure(query: MetricQuery, signal: AbortSignal): Promise<MetricAnswer>;
}
