import { get as httpGet } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { describe } from "../../test/support/deaths-load.ts";
import { createDeathSite, type DeathSite } from "../../test/support/deaths.ts";
import { stopsOnce } from "../lib/cleanup.ts";
import { figure, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";

/** Kills of each sort. */
const usualRuns = 10;
const restMs = 1_000;

/** `kill -9` of instances and of HAProxy under load. */
export async function deaths({ say, runs = usualRuns }: BenchOptions): Promise<BenchResult> {
  const ends: (() => unknown)[] = [];
  const stop = stopsOnce(async () => {
    for (const end of ends) await end();
  });
  try {
    // Only instances of the first hour are killed: later ones that ended again would be a crash loop, which is slowed down.
    const site = await createDeathSite({ after: (end) => void ends.push(end as () => unknown) }, runs + 2);
    const replaceMs: number[] = [];
    const { instances } = await site.site.status();
    for (const [index, { name, pid }] of instances.slice(0, runs).entries()) {
      say(`killing instance ${index + 1} of ${runs}`);
      const known = new Set((await site.site.status()).instances.map((instance) => instance.name as string));
      const startedAt = performance.now();
      process.kill(pid ?? 0, "SIGKILL");
      await newcomer(site.url, known);
      replaceMs.push(performance.now() - startedAt);
      await site.replaced([name]);
    }
    const killed = await site.report();

    const waits: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      say(`killing HAProxy ${run + 1} of ${runs}`);
      waits.push(await waitOverKill(site, run % 2 === 0 ? "worker" : "haproxy"));
    }
    const proxy = await site.report();
    return {
      figures: [
        { name: "instance_kill_lost", value: killed.lost, unit: "requests", runs, goal: { atMost: 0 } },
        {
          name: "proxy_kill_wait_ms",
          value: round(Math.max(...waits)),
          unit: "ms",
          runs: waits.length,
          goal: { atMost: 100 },
        },
        { ...figure("replace_p50_ms", "ms", 0.5, replaceMs), goal: { atMost: 1_500 } },
      ],
      notes: [
        `${runs} instances killed: ${describe(killed)}`,
        `${runs} kills of HAProxy's worker or master: ${describe(proxy)}; refused ${proxy.refused}`,
      ],
      failed: proxy.refused > 0,
    };
  } finally {
    await stop();
  }
}

/** Resolves when an instance answers that was not there before. */
async function newcomer(url: string, known: ReadonlySet<string>): Promise<void> {
  for (;;) {
    const { instance } = await ask(url);
    if (instance !== undefined && !known.has(instance)) return;
    await sleep(2);
  }
}

/** Kills a process of HAProxy. @returns the longest wait of a connection that was opened meanwhile and answered, in ms */
async function waitOverKill(site: DeathSite, victim: "worker" | "haproxy"): Promise<number> {
  const before = await site.routerProcesses();
  let over = false;
  let longestMs = 0;
  const clients = [1, 2, 3, 4].map(async () => {
    while (!over) {
      const { instance, ms } = await ask(site.url);
      if (instance !== undefined) longestMs = Math.max(longestMs, ms);
      await sleep(1);
    }
  });
  process.kill(before[victim], "SIGKILL");
  await sleep(restMs);
  over = true;
  await Promise.all(clients);
  const after = await site.routerProcesses();
  if (after.haproxy === before.haproxy) throw new Error("HAProxy was not started again");
  return longestMs;
}

/** One GET on a new connection; no instance where it was broken off. */
function ask(url: string): Promise<{ readonly instance: string | undefined; readonly ms: number }> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const end = (instance: string | undefined): void => resolve({ instance, ms: performance.now() - startedAt });
    httpGet(url, { agent: false }, (response) => {
      response.resume();
      response.once("end", () => end(response.statusCode === 200 ? String(response.headers["x-instance"]) : undefined));
      response.once("error", () => end(undefined));
    }).once("error", () => end(undefined));
  });
}
