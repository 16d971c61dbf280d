import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { machineMs } from "../../src/load/probe.ts";
import { isSettled, layoutOf, startBronze, type Bronze } from "../lib/bronze.ts";
import { startDocker, type Docker } from "../lib/docker.ts";
import { figure, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { firstAnswer } from "../lib/first-answer.ts";
import { needs, require } from "../lib/packages.ts";
import { instances, nodePair, proberOf, settleMs, sitePair, takenOver, type Pair } from "./pair.ts";

const coldRuns = 10;

/** Nothing of what is restored runs any more; beside it, `docker run` of the same images. */
export async function cold({ runs = coldRuns, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox);
  say("building two versions of a Node app and of a static site");
  const bronze = await startBronze();
  let docker: Docker | undefined;
  const layouts = await mkdtemp(join(tmpdir(), "bronze-layouts-"));
  try {
    const node = await nodePair(bronze);
    const site = await sitePair(bronze);
    const coldNode = await coldRollbacks(bronze, node, runs, say);
    const coldSite = await coldRollbacks(bronze, site, runs, say);
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
      theirs.push(await dockerRuns(docker, name, runs, say));
    }
    const versus = (values: readonly number[] | undefined) => ({
      name: `docker run of ${instances} in parallel`,
      values: values ?? [],
    });
    return {
      figures: [
        figure("cold_p50_ms", "ms", 0.5, coldNode, versus(theirs[0])),
        figure("cold_static_p50_ms", "ms", 0.5, coldSite, versus(theirs[1])),
      ],
    };
  } finally {
    await docker?.stop();
    await bronze.stop();
    await rm(layouts, { recursive: true, force: true });
  }
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
