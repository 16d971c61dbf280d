import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFixture } from "../../src/drivers/haproxy/fixture.suite.ts";
import { createProber } from "../../src/drivers/prober.ts";
import { createBench, putHttpImage } from "../../src/drivers/runc/fixture.suite.ts";
import { openSqliteJournal } from "../../src/drivers/sqlite/journal.ts";
import { web } from "../../src/ports/runtime.suite.ts";
import { longestMs, mostTimes, type TimedStep, type Timings } from "../../src/simulate/timings.ts";

const appends = 30;
const pauseMs = 2;
const hundredths = 100;

/**
 * Takes the times of real drivers: starts instances one by one, waits until each answers, gives it a place and the route,
 * and ends it.
 *
 * @param instances how many; some 0.5 s each
 */
export async function recordTimings(instances: number): Promise<Timings> {
  const ms: Record<TimedStep, number[]> = { start: [], ready: [], remove: [], place: [], route: [], append: [] };
  const taking = async (step: TimedStep, work: () => Promise<unknown> | void): Promise<void> => {
    const began = performance.now();
    await work();
    const tookMs = Math.min(performance.now() - began, longestMs);
    ms[step].push(Math.round(tookMs * hundredths) / hundredths);
  };
  await recordAppends(taking);
  const { signal } = new AbortController();
  const bench = await createBench();
  const runtime = await bench.runtime();
  try {
    const set = bench.set(await putHttpImage(bench.store));
    await runtime.prepare(set.content.artifact, signal, set.environment);
    const { router, end } = await openFixture();
    try {
      for (let ordinal = 1; ordinal <= Math.min(instances, mostTimes); ordinal += 1) {
        await taking("start", () => runtime.ensure(set, web(1, ordinal), signal));
        const [seen] = await runtime.observe();
        if (seen === undefined || seen.address === null) throw new Error("what was started has no address");
        const { address, port, name: instance } = seen;
        await taking("ready", () => untilAnswered(address, port));
        await taking("place", () => router.place({ set: set.name, endpoints: [{ instance, address, port }] }, signal));
        const route = { host: `h${ordinal}.example`, path: "/" };
        await taking("route", () => router.route(route, { route, stable: set.name }, signal));
        await taking("remove", () => runtime.remove([instance], 1_000, signal));
      }
    } finally {
      await end();
    }
  } finally {
    await bench.end(runtime);
  }
  return { version: 1, ms };
}

async function recordAppends(taking: (step: TimedStep, work: () => void) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bronze-timings-"));
  try {
    const journal = openSqliteJournal(folder);
    for (let pid = 1; pid <= appends; pid += 1)
      await taking("append", () => {
        journal.append([{ atMs: pid, data: { kind: "daemon.started", version: "1", pid } }]);
      });
    journal.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function untilAnswered(address: string, port: number): Promise<void> {
  const prober = createProber();
  const untilMs = performance.now() + longestMs;
  while ((await prober.probe({ address, port, path: "/" }, 1_000)).kind !== "answered") {
    if (performance.now() > untilMs) throw new Error(`nothing answers at ${address}:${port}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
