import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { machineMs, type Takeover } from "../src/load/probe.ts";
import { startProbe, type Probe } from "../src/load/process.ts";
import type { Digest } from "../src/model/canonical.ts";
import type { RunSettings } from "../src/model/content.ts";
import {
  demoApp,
  isSettled,
  layoutOf,
  loadMain,
  nodeProject,
  startBronze,
  staticProject,
  type Bronze,
} from "./lib/bronze.ts";
import { startDocker, type Docker } from "./lib/docker.ts";
import { figure, type BenchOptions, type BenchResult, type Figure } from "./lib/figures.ts";
import { firstAnswer } from "./lib/first-answer.ts";
import { needs, require } from "./lib/packages.ts";

const instances = 4;
const warmRuns = 50;
const cliRuns = 20;
const coldRuns = 10;
/** After the result, the prober goes on this long: no other content may answer any more. */
const afterMs = 200;
/** Time the prober has to come into its stride before it matters. */
const settleMs = 500;

/** Two contents of one app: `[restored, replaced]`, and the texts that tell their answers apart. */
interface Pair {
  readonly artifacts: readonly [Digest, Digest];
  readonly contents: readonly [string, string];
  readonly settings: Partial<RunSettings>;
}

/** How long a rollback takes, from the request to the last answer of what was replaced: warm, by the CLI, and cold. */
export async function rollbackBench({ runs, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox);
  say("building two versions of a Node app and of a static site");
  const bronze = await startBronze();
  let docker: Docker | undefined;
  const layouts = await mkdtemp(join(tmpdir(), "bronze-layouts-"));
  try {
    const node: Pair = {
      artifacts: [
        await bronze.build("node-1", nodeProject("1"), nodeCopies),
        await bronze.build("node-2", nodeProject("2"), nodeCopies),
      ],
      contents: ["x-version: 1", "x-version: 2"],
      settings: { resources: { memoryBytes: 256 * 2 ** 20, cpu: 0.5, pids: 256 } },
    };
    const site: Pair = {
      artifacts: [
        await bronze.build("site-1", staticProject("content one"), siteCopies),
        await bronze.build("site-2", staticProject("content two"), siteCopies),
      ],
      contents: ["content one", "content two"],
      settings: node.settings,
    };
    const figures: Figure[] = [];
    const notes: string[] = [];

    const { cpu: _, ...unlimited } = node.settings.resources ?? { memoryBytes: null, cpu: null, pids: 256 };
    const free = { ...node, settings: { resources: { ...unlimited, cpu: null } } };
    const warm = await warmRollbacks(bronze, free, runs ?? warmRuns, say);
    figures.push(figure("warm_p50_ms", "ms", 0.5, warm.ms), figure("warm_p95_ms", "ms", 0.95, warm.ms));
    notes.push(
      `prober: ${Math.round(Math.min(...warm.rates))} probes/s or more on 8 keep-alive connections, ${warm.failed} failed`,
    );
    const byCli = await warmRollbacks(bronze, free, runs ?? cliRuns, say, true);
    figures.push(figure("warm_cli_p50_ms", "ms", 0.5, byCli.ms));

    const coldNode = await coldRollbacks(bronze, node, runs ?? coldRuns, say);
    const coldSite = await coldRollbacks(bronze, site, runs ?? coldRuns, say);
    say("the same images under Docker");
    docker = await startDocker();
    const theirs: (readonly number[])[] = [];
    for (const [name, { artifacts }] of [
      ["bench-node:1", node],
      ["bench-site:1", site],
    ] as const) {
      const layout = join(layouts, name.replace(":", "-"));
      await layoutOf(bronze, artifacts[0], layout);
      await docker.load(layout, name);
      theirs.push(await dockerRuns(docker, name, runs ?? coldRuns, say));
    }
    const versus = (values: readonly number[] | undefined) => ({
      name: `docker run of ${instances} in parallel`,
      values: values ?? [],
    });
    figures.push(
      figure("cold_p50_ms", "ms", 0.5, coldNode, versus(theirs[0])),
      figure("cold_static_p50_ms", "ms", 0.5, coldSite, versus(theirs[1])),
    );
    return { figures, notes, failed: warm.failed > 0 || Math.min(...warm.rates) < 2000 };
  } finally {
    await docker?.stop();
    await bronze.stop();
    await rm(layouts, { recursive: true, force: true });
  }
}

const nodeCopies = { "package.json": join(demoApp, "package.json"), "server.js": join(demoApp, "server.js") };
const siteCopies = { busybox: needs.busybox.path };

/** Waits for what the prober saw: a request in flight on the replaced content may still take its time. */
async function takenOver(probe: Probe, askedAtMs: number): Promise<Takeover & { readonly atMs: number }> {
  const patience = performance.now() + 10_000;
  for (;;) {
    await sleep(afterMs);
    const takeover = await probe.takeover(0, askedAtMs);
    if (takeover.atMs !== null) return { ...takeover, atMs: takeover.atMs };
    if (performance.now() > patience) throw new Error("the replaced content still answered 10 s after the rollback");
  }
}

function proberOf(bronze: Bronze, pair: Pair, connections: number, everyMs: number): Promise<Probe> {
  return startProbe(loadMain, {
    ...bronze.address,
    hostHeader: "bench",
    path: "/",
    connections,
    everyMs,
    contents: pair.contents,
  });
}

async function warmRollbacks(bronze: Bronze, pair: Pair, runs: number, say: (text: string) => void, byCli = false) {
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

async function coldRollbacks(
  bronze: Bronze,
  pair: Pair,
  runs: number,
  say: (text: string) => void,
): Promise<readonly number[]> {
  say(`${runs} cold rollbacks to ${instances} instances`);
  const environment = { instances, keepWarmMs: 0 };
  await bronze.deploy(pair.artifacts[0], pair.settings, environment);
  const ms: number[] = [];
  // The first one warms the page cache for both sides and is not counted.
  for (let i = -1; i < runs; i += 1) {
    await bronze.deploy(pair.artifacts[1], pair.settings, environment);
    await bronze.until(
      "nothing of the restored content runs",
      (status) => isSettled(status) && status.instances.length === instances,
    );
    const probe = await proberOf(bronze, pair, 1, 5);
    // Docker's prober runs already: ours is not to start beside the instances either.
    await sleep(settleMs);
    const { askedAtMs } = await bronze.rollback();
    const { atMs } = await takenOver(probe, askedAtMs);
    await probe.stop();
    if (i >= 0) ms.push(atMs - askedAtMs);
    await bronze.until(
      "what was taken back is gone",
      (status) => isSettled(status) && status.instances.length === instances,
    );
  }
  return ms;
}

async function dockerRuns(
  docker: Docker,
  image: string,
  runs: number,
  say: (text: string) => void,
): Promise<readonly number[]> {
  say(`${runs} times ${instances} × docker run of ${image}`);
  const ms: number[] = [];
  for (let i = -1; i < runs; i += 1) {
    const names = Array.from({ length: instances }, (_, n) => `bench-${n}`);
    const startedAtMs = machineMs();
    const healthy = await Promise.all(
      names.map(async (name, n) => {
        const options = [
          "--cpus",
          "0.5",
          "--memory",
          "256m",
          "--pids-limit",
          "256",
          "--network",
          docker.network,
          "--ip",
          docker.address(n),
        ];
        const answered = firstAnswer({ host: docker.address(n), port: 8080 }, 5);
        await docker.docker("run", "-d", "--name", name, ...options, image);
        return await answered;
      }),
    );
    if (i >= 0) ms.push(Math.max(...healthy) - startedAtMs);
    await docker.docker("rm", "-f", ...names);
  }
  return ms;
}
