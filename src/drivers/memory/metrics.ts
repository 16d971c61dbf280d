import type { MetricAnswer, MetricQuery, Metrics } from "../../ports/metrics.ts";

/** Metrics that answer what they are told to. */
export interface MemoryMetrics extends Metrics {
  /** What is answered from now on; null: nothing, until whoever asks ends it. */
  answer: (query: MetricQuery) => MetricAnswer | null;
}

/** @param answer what is answered at first; default: an error */
export function createMemoryMetrics(
  answer: MemoryMetrics["answer"] = () => ({ kind: "error", reason: "nobody answers" }),
): MemoryMetrics {
  return {
    answer,
    async measure(query, signal) {
      const given = this.answer(query);
      if (given !== null && !signal.aborted) return given;
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      return { kind: "error", reason: "it was ended" };
    },
  };
}
