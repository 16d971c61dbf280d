import { setTimeout as sleep } from "node:timers/promises";
import { startBronze } from "../lib/bronze.ts";
import { percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { startBuilders } from "./builders.ts";
import { nodePair, unlimited } from "./pair.ts";
import { warmRollbacks } from "./warm.ts";

const busyRuns = 30;
/** Until the builds have come from starting to reading, packing and hashing, in ms. */
const warmUpMs = 3_000;

/** Warm rollbacks while every core builds and hashes: in the session of whoever asks, and in sessions of others. */
export async function busy({ runs = busyRuns, say }: BenchOptions): Promise<BenchResult> {
  say("building two versions of a Node app");
  const bronze = await startBronze();
  try {
    const pair = { ...(await nodePair(bronze)), settings: unlimited };
    const all: number[] = [];
    const notes: string[] = [];
    let failed = 0;
    for (const [place, ownSession] of [
      ["in this session", false],
      ["in sessions of their own", true],
    ] as const) {
      say(`builds and hashes of 100 MB each, ${place}`);
      const builders = await startBuilders(ownSession);
      try {
        await sleep(warmUpMs);
        const { ms, rates, failed: wrong } = await warmRollbacks(bronze, pair, runs, say);
        all.push(...ms);
        failed += wrong;
        const shares = [0.5, 0.95, 1].map((share) => round(percentile(ms, share))).join(", ");
        const least = Math.round(Math.min(...rates));
        notes.push(
          `builds ${place} (${builders.builds()}): p50, p95, most ${shares} ms; prober ${least} probes/s or more, ${wrong} failed`,
        );
      } finally {
        await builders.stop();
      }
    }
    const value = round(percentile(all, 0.95));
    return {
      figures: [{ name: "busy_warm_p95_ms", value, unit: "ms", runs: all.length, goal: { atMost: 30 } }],
      notes,
      failed: failed > 0,
    };
  } finally {
    await bronze.stop();
  }
}
