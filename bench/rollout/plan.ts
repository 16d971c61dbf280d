import { deploy } from "../../src/controller/deploy.ts";
import { planEnvironment } from "../../src/rollout/plan.ts";
import { contentOf, instance, served, set, Story } from "../../src/rollout/testing.ts";
import type { EnvironmentView } from "../../src/rollout/view.ts";
import { environmentKey, type EnvironmentRecord } from "../../src/ledger/state.ts";
import { app, environment, request } from "../../src/simulate/testing.ts";
import { createWorld } from "../../src/simulate/world.ts";
import { percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";

const many = 10_000;
const few = 100;
const steps = 81;
const plans = 21;

/**
 * What the planner and the controller need for many instances of one app. A plan is made of instances each of which is
 * looked at by itself, which is the worst case: as after a daemon's start. A step is one instance that ends: the daemon hears
 * of it, records it, plans, takes its place in the router from it, tells the others who is there now, and asks for another
 * one. It lasts until nothing is left to be done before time passes. Steps of both worlds alternate, so that whatever else
 * the machine does takes its time from both.
 */
export async function plan({ runs, say }: BenchOptions): Promise<BenchResult> {
  say(`plans for ${many} instances`);
  const situations = [settled(many), rolling(many), starting(many)];
  const planned = situations.map(({ name, record, view, nowMs }) => {
    const times = Array.from({ length: plans }, () => timed(() => planEnvironment(record, view, nowMs)));
    return { name, ms: percentile(times, 0.5), worstMs: Math.max(...times) };
  });
  const slowest = Math.max(...planned.map(({ ms }) => ms));
  const [small, large] = await stepsOf(runs ?? steps, say);
  const ratio = large.ms / small.ms;
  return {
    figures: [
      { name: "plan_10000_ms", value: round(slowest), unit: "ms", runs: plans, goal: { atMost: 50 } },
      { name: "step_100_ms", value: round(small.ms), unit: "ms", runs: small.runs },
      {
        name: "step_10000_ms",
        value: round(large.ms),
        unit: "ms",
        runs: large.runs,
        versus: { name: "step_100_ms", value: round(small.ms) },
        ratio: round(ratio),
        goal: { atMost: round(2 * small.ms) },
      },
    ],
    notes: planned.map(({ name, ms, worstMs }) => `plan, ${name}: ${round(ms)} ms, slowest ${round(worstMs)} ms`),
  };
}

interface Situation {
  readonly name: string;
  readonly record: EnvironmentRecord;
  readonly view: EnvironmentView;
  readonly nowMs: number;
}

function instancesOf(release: number, count: number) {
  return Array.from({ length: count }, (_, index) => instance(release, index + 1)).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

function prove(record: EnvironmentRecord, release: number, count: number): void {
  for (const { name } of instancesOf(release, count)) record.sets.get(set(release))?.proven.add(name);
}

function settled(count: number): Situation {
  const story = new Story().settings({ instances: count }).deployed(1, contentOf("one"));
  prove(story.record, 1, count);
  return {
    name: "all serve",
    record: story.record,
    view: served(instancesOf(1, count), set(1)),
    nowMs: story.nowMs,
  };
}

function rolling(count: number): Situation {
  const strategy = { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%" } as const;
  const story = new Story().settings({ instances: count, strategy });
  story.deployed(1, contentOf("one")).create(2, contentOf("two"));
  const half = count / 2;
  prove(story.record, 1, half);
  prove(story.record, 2, half);
  for (const name of [set(1), set(2)]) {
    const own = story.record.sets.get(name);
    if (own !== undefined) own.count = half;
  }
  const release = story.record.releases.get(2);
  if (release !== undefined) release.progress = { ...release.progress, step: 9, instances: count };
  return {
    name: "half of them rolled",
    record: story.record,
    view: served([...instancesOf(1, half), ...instancesOf(2, half)], set(1)),
    nowMs: story.nowMs,
  };
}

function starting(count: number): Situation {
  const story = new Story().settings({ instances: count }).create(1, contentOf("one"));
  return { name: "none there yet", record: story.record, view: served([], null), nowMs: story.nowMs };
}

interface Taken {
  readonly ms: number;
  readonly runs: number;
}

/** The middle of the times that a step takes with few instances, and with many. */
async function stepsOf(runs: number, say: (text: string) => void): Promise<readonly [Taken, Taken]> {
  say(`steps with ${few} and with ${many} instances`);
  const small = await runningWorld(few);
  const large = await runningWorld(many);
  const times: readonly [number[], number[]] = [[], []];
  for (let run = 0; run < runs; run += 1) {
    // Whoever comes second finds warm caches.
    const smallFirst = run % 2 === 0;
    if (smallFirst) times[0].push(await small.step(run));
    times[1].push(await large.step(run));
    if (!smallFirst) times[0].push(await small.step(run));
    // A first end is made up for at once; later ones of the same minutes would make the next start wait.
    await small.rest(181_000 / runs + 2_000);
    await large.rest(181_000 / runs + 2_000);
  }
  await small.stop();
  await large.stop();
  return [
    { ms: percentile(times[0], 0.5), runs },
    { ms: percentile(times[1], 0.5), runs },
  ];
}

interface RunningWorld {
  /** Ends an instance. @returns ms until nothing is left to be done */
  step(run: number): Promise<number>;
  rest(ms: number): Promise<void>;
  stop(): Promise<void>;
}

async function runningWorld(count: number): Promise<RunningWorld> {
  const world = createWorld();
  const { clock, machine, router } = world;
  const controller = await world.startController((ports) => {
    const { runtime } = ports;
    // An instance takes time to start, as they do: it is no part of the step that asks for it.
    const ensure: typeof runtime.ensure = async (...args) => {
      await new Promise<void>((resolve) => clock.after(1, resolve));
      await runtime.ensure(...args);
    };
    return { ...ports, runtime: { ...runtime, ensure } };
  }, "boot");
  const up = deploy(controller, request("one", { instances: count, watchMs: 0 }));
  let isUp = false;
  up.then(
    () => (isUp = true),
    () => (isUp = true),
  );
  await clock.until(() => isUp, 120_000);
  await up;
  await clock.advance(5_000);
  const key = environmentKey(app, environment);
  const record = controller.state.environments.get(key);
  const live = record?.live?.set;
  const own = live === undefined ? undefined : record?.sets.get(live);
  if (live === undefined || own === undefined) throw new Error("nothing is live");
  let starts = 0;
  controller.recorder.listen(({ data }) => {
    if (data.kind === "instances.starting") starts += 1;
  });
  return {
    async step(run) {
      const members = controller.fleet.members(live)?.all() ?? [];
      const victim = members[(run * 7_919) % members.length];
      const other = members[(run * 7_919 + 1) % members.length];
      if (victim === undefined || victim.address === null || other === undefined)
        throw new Error("there is no instance");
      const before = starts;
      const start = performance.now();
      machine.exit(victim.name, 1);
      // All that can be done without that time passes.
      await clock.advance(0);
      const ms = performance.now() - start;
      // All of it is done within the step: else what is measured were not a step.
      if (starts !== before + 1) throw new Error("no instance was asked for in place of the one that ended");
      if (router.taking(live).includes(victim.name)) throw new Error("it keeps its place");
      if (router.taking(live).length !== count - 1) throw new Error("others have no place");
      if (machine.resolve(other.name, app).includes(victim.address)) throw new Error("the app's name stands for it");
      return ms;
    },
    async rest(ms) {
      await clock.advance(ms);
      own.crashes.clear();
      if (router.taking(live).length !== count) throw new Error("what ended was not made up for");
    },
    stop: () => controller.stop(),
  };
}

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
