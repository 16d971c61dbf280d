import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createApiClient } from "../src/cli/api-client.ts";
import type { DeployResult } from "../src/model/api/releases.ts";
import type { EnvironmentStatus, StatusReport } from "../src/model/api/status.ts";
import { placesOf } from "../src/model/places.ts";
import { createSite, type Site } from "../test/support/bronze.ts";
import { upCrowd } from "../test/support/crowd.ts";
import { isSettled } from "./lib/bronze.ts";
import { stopsOnce } from "./lib/cleanup.ts";
import { figure, percentile, round, type BenchOptions, type BenchResult, type Figure } from "./lib/figures.ts";

const crowdSize = 60;
const instances = 2;
const idleMs = 10_000;
const mostMs = 60_000;

/**
 * An app's deploy with 60 other apps on the machine over the same deploy alone. The two take turns: each has a daemon and
 * a state folder of its own, so that what else the machine does strikes both.
 */
export async function crowdBench({ runs = 15, say }: BenchOptions): Promise<BenchResult> {
  const ends: (() => unknown)[] = [];
  const stop = stopsOnce(async () => {
    for (const end of ends) await end();
  });
  try {
    const makeSite = () => createSite({ after: (end) => void ends.push(end as () => unknown) });
    const crowded = makeSite();
    say(`${crowdSize} apps of ${instances} instances`);
    await upCrowd(crowded, crowdSize, instances);
    say(`idle for ${idleMs / 1000} s`);
    const idle = await cpuShare(crowded);
    const alone = makeSite();
    await upCrowd(alone, 1, instances);
    const times = { alone: [] as number[], crowded: [] as number[] };
    for (let run = 0; run <= runs; run += 1) {
      say(`deploy ${run + 1} of ${runs + 1} on either side`);
      // The first on either side makes what later ones find made.
      const lone = await deploy(alone, run);
      const within = await deploy(crowded, run);
      if (run === 0) continue;
      times.alone.push(lone);
      times.crowded.push(within);
    }
    const statusMs: number[] = [];
    for (let i = 0; i < runs; i += 1) statusMs.push((await crowded.bronze(["status"])).ms);
    const deploys = figure("deploy_60_apps_ms", "ms", 0.5, times.crowded, { name: "alone", values: times.alone });
    const ratio: Figure = {
      name: "deploy_60_apps_ratio",
      value: round(percentile(times.crowded, 0.5) / percentile(times.alone, 0.5)),
      unit: "",
      runs,
      goal: { atMost: 1.5 },
    };
    return {
      figures: [
        ratio,
        deploys,
        figure("status_60_apps_ms", "ms", 0.5, statusMs),
        { name: "idle_60_apps_cpu_pct", value: round(idle), unit: "% of a core", runs: 1 },
      ],
      notes: [
        `p95: ${round(percentile(times.crowded, 0.95))} ms with the others, ${round(percentile(times.alone, 0.95))} ms alone`,
      ],
    };
  } finally {
    await stop();
  }
}

/** Releases a content of its own and waits until nothing of what it replaced is on its way; how long the deploy took, in ms. */
async function deploy(site: Site, run: number): Promise<number> {
  site.write({ "root/www/index.html": `content ${run}\n` });
  site.define({ environment: ["rollback: { watch: 0s, keepWarm: 0s }"] });
  const { elapsedMs } = await site.json<DeployResult>(["up"]);
  const client = createApiClient(placesOf(site.state).socket);
  const deadline = performance.now() + mostMs;
  for (;;) {
    const { environments } = await client.get<StatusReport>("/v1/status", { app: "shop", environment: "production" });
    if (environments.every((environment: EnvironmentStatus) => isSettled(environment))) return elapsedMs;
    if (performance.now() > deadline) throw new Error(`not settled ${mostMs / 1000} s after a deploy`);
    await sleep(20);
  }
}

/** What the daemon's threads use while nothing is asked of it, in % of one core. */
async function cpuShare(site: Site): Promise<number> {
  const pid = readFileSync(join(site.state, "run/bronze.pid"), "utf8").trim();
  /** @see proc_pid_stat(5): utime and stime, in hundredths of a second */
  const used = (): number => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  };
  await sleep(2_000);
  const before = used();
  await sleep(idleMs);
  return ((used() - before) / idleMs) * 100;
}
