import { isMissed, type BenchOptions, type BenchResult } from "./lib/figures.ts";
import { runParts, type Parts } from "./lib/parts.ts";

/** What is survived, one file each in `survive/`. */
const parts: Parts = {
  daemon: async () => (await import("./survive/daemon.ts")).daemonKills,
  reboot: async () => (await import("./survive/reboot.ts")).rebootToServing,
  deaths: async () => (await import("./survive/deaths.ts")).deaths,
};

/** Deaths of every process and of the machine: what clients lost, and how long it took. Fails when a goal is missed. */
export async function surviveBench(options: BenchOptions): Promise<BenchResult> {
  const result = await runParts(parts, options);
  return { ...result, failed: result.failed === true || result.figures.some(isMissed) };
}
