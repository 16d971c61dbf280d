import { setTimeout as sleep } from "node:timers/promises";
import { machineMs } from "../../src/load/probe.ts";
import { isSettled, startBronze, type Bronze } from "../lib/bronze.ts";
import { figure, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { instances, nodePair, proberOf, settleMs, takenOver, unlimited, type Pair } from "./pair.ts";

const warmRuns = 50;
const cliRuns = 20;

/** What was replaced runs still: from the request, by the API and by the CLI, to its last answer. */
export async function warm({ runs, say }: BenchOptions): Promise<BenchResult> {
  say("building two versions of a Node app");
  const bronze = await startBronze();
  try {
    const pair = { ...(await nodePair(bronze)), settings: unlimited };
    const asked = await warmRollbacks(bronze, pair, runs ?? warmRuns, say);
    const byCli = await warmRollbacks(bronze, pair, runs ?? cliRuns, say, true);
    const leastRate = Math.min(...asked.rates);
    return {
      figures: [
        figure("warm_p50_ms", "ms", 0.5, asked.ms),
        figure("warm_p95_ms", "ms", 0.95, asked.ms),
        figure("warm_cli_p50_ms", "ms", 0.5, byCli.ms),
      ],
      notes: [`prober: ${Math.round(leastRate)} probes/s or more on 8 keep-alive connections, ${asked.failed} failed`],
      failed: asked.failed > 0 || leastRate < 2000,
    };
  } finally {
    await bronze.stop();
  }
}

export interface WarmRollbacks {
  readonly ms: readonly number[];
  /** Probes a second, by run. */
  readonly rates: readonly number[];
  /** Wrong answers to the prober. */
  readonly failed: number;
}

export async function warmRollbacks(
  bronze: Bronze,
  pair: Pair,
  runs: number,
  say: (text: string) => void,
  byCli = false,
): Promise<WarmRollbacks> {
  say(`${runs} warm rollbacks${byCli ? " by the CLI" : ""}, each after a deploy`);
  const environment = { instances };
  await bronze.deploy(pair.artifacts[0], pair.settings, environment);
  const ms: number[] = [];
  const rates: number[] = [];
  let failed = 0;
  for (let i = 0; i < runs; i += 1) {
    await bronze.deploy(pair.artifacts[1], pair.settings, environment);
    await bronze.until("a warm rollback is ready", (status) => isSettled(status) && status.rollback.ready);
    const probe = await proberOf(bronze, pair, 8, 2.8);
    await sleep(settleMs);
    const sinceMs = machineMs();
    const askedAtMs = byCli
      ? (await bronze.cli("rollback", "--app", "shop", "-e", "production"), sinceMs)
      : (await bronze.rollback()).askedAtMs;
    const takeover = await takenOver(probe, askedAtMs);
    const whole = await probe.takeover(0, 0);
    await probe.stop();
    ms.push(takeover.atMs - askedAtMs);
    rates.push(whole.probesPerSecond);
    failed += whole.failed;
    await bronze.until("what was taken back is gone", isSettled);
  }
  return { ms, rates, failed };
}
