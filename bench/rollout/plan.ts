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
const steps = 41;
const plans = 21;

/**
 * What the planner and the controller need for many instances of one app. A plan is made of instances each of which is
 * looked at by itself, which is the worst case: as after a daemon's start. A step is one instance that ends: the daemon hears
 * of it, records it, plans, and begins what is to be done; what the router and the runtime then take is theirs.
 */
export async function plan({ runs, say }: BenchOptions): Promise<BenchResult> {
  say(`plans for ${many} instances`);
  const situations = [settled(many), rolling(many), starting(many)];
  const planned = situations.map(({ name, record, view, nowMs }) => {
    const times = Array.from({ length: plans }, () => timed(() => planEnvironment(record, view, nowMs)));
    return { name, ms: percentile(times, 0.5), worstMs: Math.max(...times) };
  });
  const slowest = Math.max(...planned.map(({ ms }) => ms));
  const small = await stepMs(few, runs ?? steps, say);
  const large = await stepMs(many, runs ?? steps, say);
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

/** The middle of the times that the controller takes when one of so many instances ends. */
async function stepMs(
  count: number,
  runs: number,
  say: (text: string) => void,
): Promise<{ readonly ms: number; readonly runs: number }> {
  say(`steps with ${count} instances`);
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  const up = deploy(controller, request("one", { instances: count, watchMs: 0 }));
  let isUp = false;
  up.then(
    () => (isUp = true),
    () => (isUp = true),
  );
  await world.clock.until(() => isUp, 120_000);
  await up;
  await world.clock.advance(5_000);
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record?.live === null || record === undefined) throw new Error("nothing is live");
  const key = environmentKey(app, environment);
  let starts = 0;
  let seen = 0;
  controller.recorder.listen(({ data }) => {
    if (data.kind === "instances.starting") starts += 1;
  });
  // The next instance is asked for within the step: else what is measured were not a step.
  const begun = (): boolean => {
    const isNew = starts > seen;
    seen = starts;
    return isNew;
  };
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const members = controller.fleet.members(record.live.set)?.all() ?? [];
    const victim = members[(run * 7_919) % members.length];
    if (victim === undefined) throw new Error("there is no instance");
    times.push(
      timed(() => {
        world.machine.exit(victim.name, 1);
        // It would be planned a moment later, with all else that happens at once: here it is to be within the time.
        controller.tick(key);
      }),
    );
    if (!begun()) throw new Error("no instance was asked for in place of the one that ended");
    // A first end is made up for at once; later ones of the same minutes would make the next start wait.
    await world.clock.advance(181_000 / runs + 2_000);
    const own = record.sets.get(record.live.set);
    own?.crashes.clear();
  }
  await controller.stop();
  return { ms: percentile(times, 0.5), runs };
}

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
