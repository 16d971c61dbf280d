import type { MetricAnswer, MetricQuery, Metrics } from "../../ports/metrics.ts";

/** Metrics that answer what they are told to. */
export interface MemoryMetrics extends Metrics {
  /** What is answered from now on; null: nothing, until whoever asks ends it. */
  answer: (query: MetricQuery) => MetricAnswer | null;
}

export function createMemoryMetrics(): MemoryMetrics {
  return {
    answer: () => ({ kind: "error", reason: "nobody answers" }),
    async measure(query, signal) {
      const answer = this.answer(query);
      if (answer !== null && !signal.aborted) return answer;
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      return { kind: "error", reason: "it was ended" };
    },
  };
}
