import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Executions, withExecutions } from "../../src/load/executions.ts";
import { startLoad } from "../../src/load/process.ts";
import { defaultLoad } from "../../src/load/protocol.ts";
import type { Digest } from "../../src/model/canonical.ts";
import type { Strategy, StrategyKind } from "../../src/model/strategy.ts";
import { loadMain, startBronze } from "../lib/bronze.ts";
import type { BenchOptions, BenchResult } from "../lib/figures.ts";
import { canary, instances, versions } from "./pair.ts";

const wantedRuns = 20;
const leastInFlight = 32;
/** Between the end of a rollout and the next, in ms: requests are answered by what is live then. */
const betweenMs = 250;

const strategies: readonly Strategy[] = [
  { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%" },
  { kind: "blue-green", holdMs: 500 },
  canary([10, 50], 500, false),
];

/** Rollouts by each strategy to another version and back (by it, and by rollback, in turn), under every kind of load: what clients lost. About 4 minutes. */
export async function failed({ runs = wantedRuns, say }: BenchOptions): Promise<BenchResult> {
  say("building two versions of the app");
  const bronze = await startBronze("bronze-bench-rollout");
  try {
    const [first, second] = await versions(bronze);
    await bronze.deploy(first, {}, { instances });
    const load = await startLoad(loadMain, {
      ...defaultLoad,
      ...bronze.address,
      hostHeader: "bench",
      clients: { "keep-alive": 24, "new connection": 6, "slow response": 20, upload: 4, stream: 16, websocket: 16 },
      pauseMs: { "keep-alive": 4, "new connection": 20, upload: 80 },
    });
    const executions = new Executions(join(bronze.places.log, "instances"));
    try {
      await sleep(1_500);
      await load.window();
      const open: number[] = [];
      const changes: Partial<Record<StrategyKind, number>> = {};
      const marks: Promise<void>[] = [];
      const mark = async (): Promise<void> => void open.push((await load.mark()).open);
      for (const strategy of strategies) {
        const { kind } = strategy;
        const began = performance.now();
        const deploy = async (artifact: Digest): Promise<unknown> =>
          bronze.deploy(artifact, {}, { instances, strategy }, {}, ({ step }) => {
            if (step !== "rollout.stepped" && step !== "traffic.switched") return;
            changes[kind] = (changes[kind] ?? 0) + 1;
            marks.push(mark());
          });
        for (let number = 0; number < runs; number += 1) {
          await deploy(second);
          await sleep(betweenMs);
          // Back by the same steps, and in turn as an operator does when something is wrong.
          if (number % 2 === 0) await deploy(first);
          else await bronze.rollback().then(mark);
          await sleep(betweenMs);
          await executions.scan();
        }
        say(`${kind}: ${2 * runs} rollouts in ${Math.round((performance.now() - began) / 1000)} s`);
      }
      await Promise.all(marks);
      const counted = await load.stop();
      await sleep(500);
      await executions.scan();
      const report = withExecutions(counted, executions.wrong(counted));
      const fewest = Math.min(report.inFlight.min, ...open);
      const told = strategies.map(({ kind }) => `${kind} ${changes[kind] ?? 0}`).join(", ");
      return {
        figures: [
          { name: "requests", value: report.requests, unit: "requests", runs: open.length },
          {
            name: "failed_requests",
            value: report.failed,
            unit: "requests",
            runs: 2 * runs * strategies.length,
            goal: { atMost: 0 },
          },
        ],
        notes: [
          ...report.kinds.map(
            ({ kind, requests, failed: lost, latencyMs, reasons }) =>
              `${kind.padEnd(15)} ${String(requests).padStart(8)} requests ${String(lost).padStart(5)} failed   p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms, max ${latencyMs.max} ms` +
              Object.entries(reasons)
                .map(([reason, count]) => `; ${count} × ${reason}`)
                .join(""),
          ),
          `changes of weight: ${told}; requests in flight: ${fewest} at least, ${Math.min(...open)} to ${Math.max(...open)} at the changes`,
          ...report.examples,
        ],
        failed: fewest < leastInFlight,
      };
    } finally {
      load.kill();
    }
  } finally {
    await bronze.stop();
  }
}
