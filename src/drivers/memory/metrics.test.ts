import type { MetricAnswer, MetricQuery } from "../../ports/metrics.ts";
import { metricsSuite } from "../../ports/metrics.suite.ts";
import { createMemoryMetrics } from "./metrics.ts";

metricsSuite("memory metrics", () => {
  const metrics = createMemoryMetrics();
  const query = (kind: MetricQuery["kind"]): MetricQuery => {
    if (kind === "prometheus") return { kind, url: "http://prometheus", query: "up" };
    return kind === "http"
      ? { kind, url: "http://shop/", headers: {}, json: null }
      : { kind, command: ["check"], env: {} };
  };
  return {
    metrics,
    query(kind, answer: MetricAnswer) {
      metrics.answer = () => (answer.kind === "error" ? { kind: "error", reason: "refused" } : answer);
      return query(kind);
    },
    endless(kind) {
      metrics.answer = () => null;
      return query(kind);
    },
  };
});
