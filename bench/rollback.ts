import type { BenchOptions, BenchResult } from "./lib/figures.ts";
import { runParts, type Parts } from "./lib/parts.ts";

const parts: Parts = {
  warm: async () => (await import("./rollback/warm.ts")).warm,
  busy: async () => (await import("./rollback/busy.ts")).busy,
  cold: async () => (await import("./rollback/cold.ts")).cold,
};

/** How long a rollback takes, from the request to the last answer of what was replaced: warm, on a busy machine, and cold. */
export function rollbackBench(options: BenchOptions): Promise<BenchResult> {
  return runParts(parts, options);
}
