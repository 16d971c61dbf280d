import type { BenchOptions, BenchResult } from "./lib/figures.ts";
import { runParts, type Parts } from "./lib/parts.ts";

const parts: Parts = {
  config: async () => (await import("./release/config.ts")).config,
  restores: async () => (await import("./release/restores.ts")).restores,
};

/** A release as a whole: how long a change of config takes, and whether a rollback brings all of it back. */
export function releaseBench(options: BenchOptions): Promise<BenchResult> {
  return runParts(parts, options);
}
