import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Executions, withExecutions } from "../src/load/executions.ts";
import { startLoad } from "../src/load/process.ts";
import { defaultLoad } from "../src/load/protocol.ts";
import { demoApp, loadMain, nodeProject, startBronze } from "./lib/bronze.ts";
import type { BenchOptions, BenchResult } from "./lib/figures.ts";

const instances = 4;
const pairs = 50;
const leastInFlight = 32;
const leastRequests = 200_000;
/** Between two flips at least, in ms, and at most while requests are still to be had: there is traffic on either content. */
const betweenMs = 150;
const mostBetweenMs = 3000;
const logFolder = "instances";

/** 50 deploys and 50 rollbacks in alternation under every kind of load: what clients lost. */
export async function deployBench({ runs, say }: BenchOptions): Promise<BenchResult> {
  const wanted = runs ?? pairs;
  say("building two versions of the app");
  const bronze = await startBronze();
  try {
    const copies = { "package.json": join(demoApp, "package.json"), "server.js": join(demoApp, "server.js") };
    const first = await bronze.build("node-1", nodeProject("1"), copies);
    const second = await bronze.build("node-2", nodeProject("2"), copies);
    await bronze.deploy(first, {}, { instances });
    const load = await startLoad(loadMain, {
      ...defaultLoad,
      ...bronze.address,
      hostHeader: "bench",
      clients: { "keep-alive": 24, "new connection": 6, "slow response": 20, upload: 4, stream: 16, websocket: 16 },
      pauseMs: { "keep-alive": 2, "new connection": 10, upload: 40 },
    });
    const executions = new Executions(join(bronze.places.log, logFolder));
    try {
      // All clients are under way: they begin within a second.
      await sleep(1500);
      await load.window();
      say(`${wanted} deploys and ${wanted} rollbacks under load`);
      const flips: number[] = [];
      /** A flip's share of all requests is waited for, so that a slow machine makes as many. */
      const flipped = async () => {
        const at = await load.mark();
        flips.push(at.open);
        const share = (leastRequests / (2 * pairs)) * flips.length;
        const until = performance.now() + mostBetweenMs;
        do await sleep(betweenMs);
        while (performance.now() < until && (await load.mark()).ended < share);
      };
      for (let i = 0; i < wanted; i += 1) {
        await bronze.deploy(second, {}, { instances });
        await flipped();
        await bronze.rollback();
        await flipped();
        await executions.scan();
        if ((i + 1) % 10 === 0) say(`${(i + 1) * 2} flips, ${(await load.mark()).ended} requests`);
      }
      const counted = await load.stop();
      await sleep(500);
      await executions.scan();
      const report = withExecutions(counted, executions.wrong(counted));
      const fewest = Math.min(report.inFlight.min, ...flips);
      const notes = report.kinds.map(
        ({ kind, requests, failed, latencyMs, reasons }) =>
          `${kind.padEnd(15)} ${String(requests).padStart(8)} requests ${String(failed).padStart(5)} failed   p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms, max ${latencyMs.max} ms` +
          Object.entries(reasons)
            .map(([reason, count]) => `; ${count} × ${reason}`)
            .join(""),
      );
      notes.push(
        `${flips.length} flips in ${Math.round(report.elapsedMs / 1000)} s; requests in flight: ${fewest} at least, ${Math.min(...flips)} to ${Math.max(...flips)} at the flips`,
      );
      notes.push(
        `answered by ${Object.entries(report.versions)
          .map(([version, count]) => `version ${version}: ${count}`)
          .join(", ")}`,
      );
      notes.push(...report.examples);
      return {
        figures: [
          { name: "requests", value: report.requests, unit: "requests", runs: flips.length },
          { name: "failed_requests", value: report.failed, unit: "requests", runs: flips.length },
        ],
        notes,
        failed: report.failed > 0 || fewest < leastInFlight || (runs === undefined && report.requests < leastRequests),
      };
    } finally {
      load.kill();
    }
  } finally {
    await bronze.stop();
  }
}
