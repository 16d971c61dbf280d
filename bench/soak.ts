/**
 * `npm run soak -- [--minutes N] [--seed N] [--json]`: a life in fast motion. Deploys, rollbacks, scale changes and kills
 * at random under every kind of load, then a look at what was lost beyond what the kills explain and at what has grown.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { asOperatorError } from "../src/errors/operator-error.ts";
import { Executions, withExecutions } from "../src/load/executions.ts";
import { startLoad } from "../src/load/process.ts";
import { defaultLoad, type Kind, type LoadReport } from "../src/load/protocol.ts";
import type { LedgerEvent } from "../src/ledger/event.ts";
import type { AuditReport } from "../src/model/api/trust.ts";
import { renderError } from "../src/render/error.ts";
import { plainPaint } from "../src/render/paint.ts";
import { demoApp, isSettled, loadMain, nodeProject, startBronze } from "./lib/bronze.ts";
import { stopAll } from "./lib/cleanup.ts";
import { percentile } from "./lib/figures.ts";
import { firstAnswer } from "./lib/first-answer.ts";
import { act, actionNames, unexplained, type ActionName, type World } from "./soak/actions.ts";
import { resourcesOf, type Resources } from "./soak/resources.ts";
import { randomFrom } from "./lib/random.ts";

const defaultMinutes = 30;
/** The daemon is killed in this first share of the time only: over the rest its memory is one line. */
const killsOfDaemon = 1 / 3;
/** Looks at what is held, over the whole time. */
const looks = 24;
/** How far the daemon's memory may move between the first and the last look at one daemon. */
const mostGrowth = 1.1;
/** A second thing happens before the first has ended, so often. */
const overlap = 0.3;
const settleMs = 90_000;
const clients: Readonly<Partial<Record<Kind, number>>> = {
  "keep-alive": 8,
  "new connection": 3,
  "slow response": 4,
  upload: 2,
  stream: 3,
  websocket: 3,
};

interface Look {
  readonly minute: number;
  readonly pid: number;
  readonly held: Resources;
}

interface Result {
  readonly minutes: number;
  readonly seed: number;
  readonly actions: Readonly<Record<string, number>>;
  readonly requests: number;
  readonly failed: number;
  readonly unexplained: readonly string[];
  readonly looks: readonly Look[];
  /** Of the last daemon, in bytes. */
  readonly memory: { readonly early: number; readonly late: number };
  readonly grown: readonly string[];
}

async function soak(minutes: number, seed: number, say: (text: string) => void): Promise<Result> {
  const random = randomFrom(seed);
  const began = performance.now();
  const elapsedMinutes = (): number => (performance.now() - began) / 60_000;
  say(`seed ${seed}: building three versions of the app`);
  const bronze = await startBronze("bronze-soak");
  try {
    const copies = { "package.json": join(demoApp, "package.json"), "server.js": join(demoApp, "server.js") };
    const artifacts = [];
    for (const version of ["1", "2", "3"])
      artifacts.push(await bronze.build(`node-${version}`, nodeProject(version), copies));
    const world: World = { bronze, artifacts, random };
    // Each has been there once: what an image on disk brings along is not taken for growth.
    for (const artifact of artifacts) await bronze.deploy(artifact, {}, { instances: 2, keepWarmMs: 0 });
    await rest(world);
    const load = await startLoad(loadMain, {
      ...defaultLoad,
      ...bronze.address,
      lastingMs: 3_000,
      hostHeader: "soak",
      clients,
      pauseMs: { "keep-alive": 20, "new connection": 50, "slow response": 50, upload: 100 },
    });
    try {
      return await live(world, load);
    } finally {
      load.kill();
    }
  } catch (error) {
    say(`ended after ${elapsedMinutes().toFixed(1)} minutes: ${error instanceof Error ? error.stack : String(error)}`);
    throw error;
  } finally {
    await bronze.stop();
  }

  async function live(world: World, load: Awaited<ReturnType<typeof startLoad>>): Promise<Result> {
    const executions = new Executions(join(bronze.places.log, "instances"));
    const counts: Record<string, number> = Object.fromEntries(actionNames.map((name) => [name, 0]));
    const wrong: string[] = [];
    const taken: Look[] = [];
    let requests = 0;
    let failed = 0;
    /** Everything that was open has ended: what failed in this window is the work of these actions, or of nobody. */
    const account = async (names: readonly ActionName[], what: string): Promise<void> => {
      await load.settle();
      const counted = await load.window();
      // What an app wrote comes to its log a little later, on a machine that is busy.
      for (let looked = 0; looked < 50; looked += 1) {
        await sleep(100);
        await executions.scan();
        if (executions.wrong(counted).never === 0) break;
      }
      const report: LoadReport = withExecutions(counted, executions.wrong(counted));
      requests += report.requests;
      failed += report.failed;
      const found = unexplained(report, names, clients);
      for (const one of found) wrong.push(`minute ${elapsedMinutes().toFixed(1)}, ${what}: ${one}`);
      if (found.length === 0) return;
      say(`UNEXPLAINED ${what}: ${found.join("; ")}`);
      for (const line of [...report.examples, ...(await lastEvents()), ...lastLines(bronze.places.log)])
        say(`    ${line}`);
    };
    const lastEvents = async (): Promise<readonly string[]> => {
      const events = await bronze.client.get<readonly LedgerEvent[]>("/v1/history", { limit: 30 });
      return events.map(({ atMs, data }) => `${new Date(atMs).toISOString()} ${JSON.stringify(data).slice(0, 200)}`);
    };
    const look = async (): Promise<void> => {
      await rest(world);
      await account([], "a deploy before a look");
      const { pid } = await bronze.client.get<{ pid: number }>("/v1/ping");
      const held = await resourcesOf(bronze.places, pid);
      taken.push({ minute: Number(elapsedMinutes().toFixed(1)), pid, held });
      say(`minute ${elapsedMinutes().toFixed(1)}: ${requests} requests, ${failed} failed; ${describe(held)}`);
    };
    await load.window();
    await look();
    while (elapsedMinutes() < minutes) {
      const names = [choose()];
      if (random(100) < 100 * overlap) names.push(choose());
      const works: Promise<string>[] = [];
      for (const name of names) {
        counts[name] = (counts[name] ?? 0) + 1;
        const work = act(name, world);
        // Looked at below, when all are under way.
        work.catch(() => {});
        works.push(work);
        await sleep(random(300));
      }
      const told = await Promise.all(works);
      const what = names.map((name, index) => `${name} ${told[index]}`).join(" + ");
      await bronze.until(`all is settled after ${what}`, isSettled, settleMs);
      // The router is on its way back for a moment that belongs to these actions too.
      await firstAnswer(bronze.address, 20);
      await account(names, what);
      if (elapsedMinutes() >= (minutes * taken.length) / looks) await look();
    }
    await look();
    const audit = await bronze.client.get<AuditReport>("/v1/audit");
    if (!audit.ok) wrong.push(`the ledger does not hold: ${audit.damage?.finding ?? "projections differ"}`);
    return {
      minutes: Number(elapsedMinutes().toFixed(1)),
      seed,
      actions: counts,
      requests,
      failed,
      unexplained: wrong,
      looks: taken,
      memory: memoryOf(taken.filter(({ pid }) => pid === taken.at(-1)?.pid)),
      grown: grownIn(taken),
    };
  }

  function choose(): ActionName {
    const names = actionNames.filter((name) => name !== "kill daemon" || elapsedMinutes() < minutes * killsOfDaemon);
    return names[random(names.length)] as ActionName;
  }
}

/** What the router wrote last. */
function lastLines(logFolder: string): readonly string[] {
  return readFileSync(join(logFolder, "router.log"), "utf8").trimEnd().split("\n").slice(-20);
}

/** One content × 2, nothing kept warm: the state in which all looks are taken. */
async function rest({ bronze, artifacts }: World): Promise<void> {
  const settings = { instances: 2, keepWarmMs: 0, watchMs: 0 };
  await bronze.deploy(artifacts[0] as World["artifacts"][number], {}, settings);
  await bronze.until(
    "only what serves is left",
    (status) => isSettled(status) && status.instances.length === 2,
    settleMs,
  );
  await sleep(2_000);
}

/** Median of the first and of the last third of the looks: the heap goes up and down between two collections. */
function memoryOf(sameDaemon: readonly Look[]): { readonly early: number; readonly late: number } {
  const memory = sameDaemon.map(({ held }) => held.pssBytes);
  const third = Math.max(1, Math.floor(memory.length / 3));
  return { early: percentile(memory.slice(0, third), 0.5), late: percentile(memory.slice(-third), 0.5) };
}

const mayVary = new Set<keyof Resources>(["pssBytes", "stateBytes", "logBytes", "openFiles", "runFiles"]);

/** What has grown from the first look to the last, in words. */
function grownIn(taken: readonly Look[]): readonly string[] {
  const [first, last] = [taken[0], taken.at(-1)];
  if (first === undefined || last === undefined) return ["nothing was looked at"];
  const grown: string[] = [];
  for (const [name, before] of Object.entries(first.held) as [keyof Resources, number][]) {
    const now = last.held[name];
    if (!mayVary.has(name) && now !== before) grown.push(`${name}: ${before} → ${now}`);
  }
  // A few more for what is under way; a leak is as large as the number of rollouts.
  for (const name of ["openFiles", "runFiles"] as const)
    if (last.held[name] > first.held[name] + 5) grown.push(`${name}: ${first.held[name]} → ${last.held[name]}`);
  if (last.held.stateBytes > first.held.stateBytes * mostGrowth)
    grown.push(`stateBytes: ${first.held.stateBytes} → ${last.held.stateBytes}`);
  const sameDaemon = taken.filter(({ pid }) => pid === last.pid);
  const { early, late } = memoryOf(sameDaemon);
  if (late > early * mostGrowth)
    grown.push(`memory of one daemon: ${(early / 1e6).toFixed(1)} → ${(late / 1e6).toFixed(1)} MB`);
  return grown;
}

function describe(held: Resources): string {
  return Object.entries(held)
    .map(([name, value]) => (name.endsWith("Bytes") ? `${name} ${(value / 1e6).toFixed(1)} MB` : `${name} ${value}`))
    .join(", ");
}

function render(result: Result): string {
  const lines = [
    `soak of ${result.minutes} minutes, seed ${result.seed}`,
    `  ${Object.entries(result.actions)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ")}`,
    `  ${result.requests} requests, ${result.failed} failed, ${result.unexplained.length === 0 ? "each explained by a kill" : "NOT all explained"}`,
    ...result.unexplained.map((one) => `    ${one}`),
    ...result.looks.map(
      ({ minute, pid, held }) => `  minute ${String(minute).padStart(5)}, daemon ${pid}: ${describe(held)}`,
    ),
    `  memory of the last daemon: ${(result.memory.early / 1e6).toFixed(1)} MB in the first third of its looks, ${(result.memory.late / 1e6).toFixed(1)} MB in the last`,
    result.grown.length === 0 ? "  nothing has grown" : `  GROWN: ${result.grown.join("; ")}`,
  ];
  return lines.join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { minutes: { type: "string" }, seed: { type: "string" }, json: { type: "boolean" } },
  });
  const minutes = Number(values.minutes ?? defaultMinutes);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!(minutes > 0 && minutes <= 10_000) || !Number.isInteger(seed)) {
    console.error("usage: npm run soak -- [--minutes N] [--seed N] [--json]");
    return 2;
  }
  if (process.getuid?.() !== 0) {
    console.error("the soak runs instances: run it as root");
    return 11;
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => void stopAll().then(() => process.exit(130)));
  try {
    const result = await soak(minutes, seed, (text) => console.error(`  ${text}`));
    console.log(values.json === true ? JSON.stringify(result) : render(result));
    return result.unexplained.length === 0 && result.grown.length === 0 ? 0 : 1;
  } catch (thrown) {
    const error = asOperatorError(thrown);
    console.error(renderError(error, plainPaint));
    if (error.code === "INTERNAL" && thrown instanceof Error) console.error(thrown.stack);
    return error.exitStatus;
  }
}

const status = await main();
await stopAll();
process.exit(status);
