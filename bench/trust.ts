import type { BenchOptions, BenchResult } from "./lib/figures.ts";
import { runParts, type Parts } from "./lib/parts.ts";

const parts: Parts = {
  "debian-order": async () => (await import("./trust/debian-order.ts")).debianOrder,
  verify: async () => (await import("./trust/verify.ts")).verify,
  overhead: async () => (await import("./trust/overhead.ts")).overhead,
  revoke: async () => (await import("./trust/revoke.ts")).revokeBlock,
  rebuild: async () => (await import("./trust/rebuild.ts")).rebuild,
  scan: async () => (await import("./trust/scan.ts")).scan,
};

/** Evidence and trust: what it costs, and whether it is right. */
export function trustBench(options: BenchOptions): Promise<BenchResult> {
  return runParts(parts, options);
}
