import type { BenchOptions, BenchResult } from "./lib/figures.ts";
import { runParts, type Parts } from "./lib/parts.ts";

const parts: Parts = {
  no_change: async () => (await import("./build/edits.ts")).noChange,
  one_line: async () => (await import("./build/edits.ts")).oneLine,
  cold: async () => (await import("./build/cold.ts")).cold,
  debian: async () => (await import("./build/debian.ts")).debian,
  small_files: async () => (await import("./build/small-files.ts")).smallFiles,
  repro: async () => (await import("./build/repro.ts")).repro,
  memory: async () => (await import("./build/memory.ts")).memory,
};

/** How long builds take as whole processes, against BuildKit, and what they need. */
export function buildBench(options: BenchOptions): Promise<BenchResult> {
  return runParts(parts, options);
}
