import type { Metrics } from "../../ports/metrics.ts";
import { runCommand } from "./command.ts";
import { askHttp } from "./http.ts";
import { askPrometheus } from "./prometheus.ts";

/** Measures by HTTP and by commands of this machine. */
export function createMetrics(): Metrics {
  return {
    measure(query, signal) {
      if (signal.aborted) return Promise.resolve({ kind: "error", reason: "it was ended" });
      switch (query.kind) {
        case "prometheus":
          return askPrometheus(query, signal);
        case "http":
          return askHttp(query, signal);
        case "command":
          return runCommand(query, signal);
      }
    },
  };
}
