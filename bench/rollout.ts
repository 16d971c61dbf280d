import type { BenchOptions, BenchResult } from "./lib/figures.ts";
import { runParts, type Parts } from "./lib/parts.ts";

const parts: Parts = {
  weights: async () => (await import("./rollout/weights.ts")).weights,
  exposed: async () => (await import("./rollout/exposed.ts")).exposed,
  plan: async () => (await import("./rollout/plan.ts")).plan,
  failed: async () => (await import("./rollout/failed.ts")).failed,
};

/** What clients have of a rollout by its steps: what they lose, what of a bad release they see, and its share of them. */
export function rolloutBench(options: BenchOptions): Promise<BenchResult> {
  return runParts(parts, options);
}
