import { setTimeout as sleep } from "node:timers/promises";
import { createApiClient } from "../../src/cli/api-client.ts";
import type { StatusReport } from "../../src/model/api/status.ts";
import { placesOf } from "../../src/model/places.ts";
import { createSite, get } from "../../test/support/bronze.ts";
import { bootDaemon, powerCut } from "../../test/support/power-cut.ts";
import { stopsOnce } from "../lib/cleanup.ts";
import { percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";

const apps = ["shop", "blog", "api"] as const;
const instances = 4;
const mostMs = 60_000;

/** Power cut; from the start of the daemon until all apps answer with all their instances in traffic. */
export async function rebootToServing({ runs = 5, say }: BenchOptions): Promise<BenchResult> {
  const ends: (() => unknown)[] = [];
  const stop = stopsOnce(async () => {
    for (const end of ends) await end();
  });
  try {
    const site = createSite({ after: (end) => void ends.push(end as () => unknown) });
    let port = "";
    for (const app of apps) {
      site.write({ "root/www/index.html": `${app}\n` });
      site.define({
        app,
        top: [`route: { host: ${app}.example, path: / }`],
        environment: ["rollback: { watch: 0s }"],
        instances,
      });
      port = new URL((await site.json<{ url: string }>(["up", "--http-port", "0"])).url).port;
    }
    const client = createApiClient(placesOf(site.state).socket);
    const isServing = async (): Promise<boolean> => {
      const { environments } = await client.get<StatusReport>("/v1/status");
      return environments.length === apps.length && environments.every(({ healthy }) => healthy === instances);
    };
    const whole: number[] = [];
    const firsts: number[] = [];
    const daemons: number[] = [];
    const failures: string[] = [];
    for (let run = 1; run <= runs; run += 1) {
      say(`power cut ${run} of ${runs}`);
      await powerCut(site.state);
      const began = performance.now();
      const booting = bootDaemon(site.state);
      const first = Promise.all(apps.map((app) => firstAnswer(`http://127.0.0.1:${port}/`, app, failures)));
      const { child, answeredMs } = await booting;
      // After the site's own end, which needs it.
      ends.push(() => child.kill("SIGTERM"));
      daemons.push(answeredMs);
      while (!(await isServing())) {
        if (performance.now() - began > mostMs)
          throw new Error(`not all instances serve ${mostMs / 1000} s after boot`);
        await sleep(10);
      }
      await first;
      whole.push(performance.now() - began);
      firsts.push(Math.max(...(await first)) - began);
    }
    const figure = { unit: "ms", runs };
    return {
      figures: [
        { name: "reboot_to_serving_ms", value: round(Math.max(...whole)), ...figure, goal: { atMost: 5_000 } },
        { name: "reboot_wrong_answers", value: failures.length, unit: "requests", runs, goal: { atMost: 0 } },
      ],
      notes: [
        `${apps.length} apps × ${instances} instances, the slowest of ${runs}; p50 ${round(percentile(whole, 0.5))} ms`,
        `the daemon, run from source, answers after ${round(percentile(daemons, 0.5))} ms, every app after ${round(percentile(firsts, 0.5))} ms (p50)`,
        ...failures.slice(0, 3),
      ],
    };
  } finally {
    await stop();
  }
}

/** When an app answered first; a refused connection is no answer yet, anything else but its own is a wrong one. */
async function firstAnswer(url: string, app: string, failures: string[]): Promise<number> {
  const deadline = performance.now() + mostMs;
  while (performance.now() < deadline) {
    try {
      const { status, body } = await get(url, { host: `${app}.example` });
      if (status === 200 && body === `${app}\n`) return performance.now();
      failures.push(`${app}: ${status} ${body.trim()}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED") failures.push(String(error));
    }
    await sleep(5);
  }
  throw new Error(`${app} did not answer within ${mostMs / 1000} s`);
}
