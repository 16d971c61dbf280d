import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { changeRollout } from "../controller/rollout-requests.ts";
import { rollback } from "../controller/rollback.ts";
import { scale } from "../controller/scale.ts";
import type { EnvironmentSettings } from "../model/content.ts";
import type { StrategyKind, Strategy } from "../model/strategy.ts";
import { resolveFenceposts } from "../rollout/strategies/rolling.ts";
import { isUsable } from "../rollout/ready.ts";
import { startMortal, type Moment } from "./mortal.ts";
import { asked, digestOf, done, names, recordOf, request } from "./testing.ts";
import { clientsOf, type Clients } from "./traffic.ts";
import { createWorld, type World } from "./world.ts";

const instances = 4;
const drainMs = 4_000;
const held = 1_000;
const all: readonly (readonly [string, Strategy])[] = [
  ["recreate", { kind: "recreate" }],
  ["rolling", { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%" }],
  ["rolling without surge", { kind: "rolling", maxSurge: 0, maxUnavailable: 1 }],
  ["blue-green", { kind: "blue-green", holdMs: held, preview: { host: "next.example", path: "/" } }],
  [
    "canary",
    {
      kind: "canary",
      steps: [
        { weight: 1_000, holdMs: held, analyse: false },
        { weight: 5_000, holdMs: held, analyse: false },
      ],
    },
  ],
];

function wanted(text: string, strategy: Strategy, settings: Partial<EnvironmentSettings> = {}) {
  return request(text, { instances, strategy, watchMs: 2_000, keepWarmMs: 8_000, ...settings }, { drainMs });
}

async function oneLive(strategy: Strategy): Promise<{ world: World; controller: Controller }> {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, wanted("one", strategy)));
  await world.clock.advance(5_000);
  return { world, controller };
}

/** The text of the content that is live. */
function liveText(controller: Controller): string | undefined {
  const record = recordOf(controller);
  const digest = record.live === null ? undefined : record.releases.get(record.live.release)?.digest;
  return ["one", "two", "three"].find((text) => digestOf(text, { drainMs }) === digest);
}

/** One content, all its instances, all requests, and nothing else but what is kept warm. */
async function assertRest(world: World, controller: Controller, text: string, what: string): Promise<void> {
  const record = recordOf(controller);
  assert.deepEqual([liveText(controller), record.active], [text, null], what);
  const set = record.live?.set ?? assert.fail(what);
  const { rules } = await world.router.observe();
  assert.deepEqual(rules, [{ route: { host: null, path: "/" }, stable: set }], what);
  for (const one of record.sets.values()) {
    assert.ok(["live", "warm"].includes(one.role), `${what}: ${one.name} is ${one.role}`);
    assert.equal(names(controller, one.name).length, record.settings.instances, `${what}: ${one.name}`);
    assert.equal(one.count, null, what);
  }
  assert.equal(
    (await world.machine.runtime().observe()).filter(({ set: own }) => !record.sets.has(own)).length,
    0,
    `${what}: instances are left`,
  );
}

/** Looks after each event how many instances may answer. @returns the least number */
function leastReady(controller: Controller): () => number {
  let least = Number.POSITIVE_INFINITY;
  controller.recorder.listen(() => {
    const ready = controller.fleet.all().filter(({ name, set }) => {
      const own = recordOf(controller).sets.get(set);
      const isPlaced = controller.executor.routing.placed.get(set)?.includes(name) === true;
      return isPlaced && own?.condemned.has(name) === false;
    });
    least = Math.min(least, ready.filter(isUsable).length);
  });
  return () => least;
}

/** The promised minimum of ready instances while v2 comes. */
function promised(strategy: Strategy): number {
  if (strategy.kind === "recreate") return 0;
  if (strategy.kind !== "rolling") return instances;
  return instances - resolveFenceposts(strategy.maxSurge, strategy.maxUnavailable, instances).unavailable;
}

for (const [name, strategy] of all) {
  test(`${name}: goes forward and back under load without a failed request, never under what it promises`, async () => {
    const { world, controller } = await oneLive(strategy);
    world.machine.behave({ readyMs: 700 });
    const clients = clientsOf(world);
    const least = leastReady(controller);
    await done(world, deploy(controller, wanted("two", strategy)));
    assert.ok(least() >= promised(strategy), `${least()} ready, ${promised(strategy)} promised`);
    await world.clock.advance(12_000);
    await assertRest(world, controller, "two", "forward");
    await done(world, rollback(controller, asked));
    await world.clock.advance(22_000);
    await assertRest(world, controller, "one", "back");
    assert.equal(clients.stop().failed, 0);
    await controller.stop();
  });
}

interface Act {
  readonly name: string;
  readonly run: (controller: Controller, strategy: Strategy) => Promise<unknown>;
  /** Contents that may be live in the end. */
  readonly live: readonly string[];
  /** How many are wanted in the end. */
  readonly instances?: number;
}

const acts: readonly Act[] = [
  {
    name: "an abort",
    run: (controller) => changeRollout(controller, { ...asked, action: "abort" }),
    live: ["one", "two"],
  },
  { name: "a rollback", run: (controller) => rollback(controller, asked), live: ["one"] },
  {
    name: "a newer release",
    run: (controller, strategy) => deploy(controller, wanted("three", strategy)),
    live: ["three"],
  },
  {
    name: "more instances",
    run: (controller) => scale(controller, { ...asked, instances: 7 }),
    live: ["two"],
    instances: 7,
  },
  {
    name: "fewer instances",
    run: (controller) => scale(controller, { ...asked, instances: 2 }),
    live: ["two"],
    instances: 2,
  },
  {
    name: "a pause",
    run: async (controller) => {
      await changeRollout(controller, { ...asked, action: "pause" });
      controller.ports.clock.after(
        1_500,
        () => void changeRollout(controller, { ...asked, action: "resume" }).catch(() => {}),
      );
    },
    live: ["two"],
  },
  {
    name: "being hurried",
    run: (controller) => changeRollout(controller, { ...asked, action: "complete" }),
    live: ["two"],
  },
];

/** @returns how many events there were from the request on; fewer than `at`: nothing happened */
async function actAt(strategy: Strategy, act: Act, at: number): Promise<number> {
  const what = `${strategy.kind}, ${act.name} after event ${at}`;
  const { world, controller } = await oneLive(strategy);
  const clients: Clients = clientsOf(world);
  world.machine.behave({ readyMs: 300 });
  let events = 0;
  let ended = 0;
  controller.recorder.listen(({ data }) => {
    events += 1;
    if (data.kind === "traffic.switched" && data.release === 2) ended = events;
    if (events === at) queueMicrotask(() => void act.run(controller, strategy).catch(() => {}));
  });
  deploy(controller, wanted("two", strategy)).catch(() => {});
  await world.clock.advance(30_000);
  if (ended === 0 || at <= ended) {
    assert.ok(act.live.includes(liveText(controller) ?? ""), `${what}: ${liveText(controller)}`);
    await assertRest(world, controller, liveText(controller) ?? "", what);
    if (act.instances !== undefined) assert.equal(recordOf(controller).settings.instances, act.instances, what);
    assert.equal(clients.stop().failed, 0, `${what}: failed requests`);
  }
  await controller.stop();
  return ended === 0 ? Number.POSITIVE_INFINITY : ended;
}

test("scale() during a rollout that waits for a person waits for nobody, and it goes on with the new number", async () => {
  const strategy: Strategy = { kind: "canary", steps: [{ weight: 5_000, holdMs: null, analyse: false }] };
  const { world, controller } = await oneLive(strategy);
  const second = deploy(controller, wanted("two", strategy));
  await world.clock.advance(5_000);
  assert.deepEqual(await done(world, scale(controller, { ...asked, instances: 6 })), { rollout: 2 });
  await world.clock.advance(5_000);
  assert.equal(recordOf(controller).active, 2);
  await done(world, changeRollout(controller, { ...asked, action: "resume" }));
  await done(world, second);
  await world.clock.advance(15_000);
  await assertRest(world, controller, "two", "scaled meanwhile");
  assert.equal(recordOf(controller).settings.instances, 6);
  assert.deepEqual(await done(world, scale(controller, { ...asked, instances: 5 })), { rollout: null });
  await controller.stop();
});

/** Each act comes after other events than the act before it, and all of them together after every one. */
const every = 4;
for (const [place, act] of acts.entries()) {
  test(`${act.name} after events of a rollout by any strategy comes to rest, without a failed request`, async (t) => {
    for (const [name, strategy] of all) {
      let at = 1 + (place % every);
      while ((await actAt(strategy, act, at)) >= at && at < 60) at += every;
      t.diagnostic(`${name}: up to event ${at}`);
      assert.ok(at > 8, `${at} events`);
    }
  });
}

/** @returns how many appends and effects there were; fewer than `at`: nobody died */
async function killAt(strategy: Strategy, at: number, moment: Moment): Promise<number> {
  const what = `${strategy.kind} killed ${moment} append or effect ${at}`;
  const { world, controller } = await oneLive(strategy);
  await controller.stop();
  const clients = clientsOf(world);
  const { controller: first, points } = await startMortal(world, at, moment);
  deploy(first, wanted("two", strategy)).catch(() => {});
  await world.clock.advance(9_000);
  void first.stop();
  const second = await world.startController();
  const isAccepted = recordOf(second).releases.has(2);
  await world.clock.advance(27_000);
  await assertRest(world, second, isAccepted ? "two" : "one", what);
  const failed = clients.stop().failed;
  // With nobody there to go on, requests wait for what was to start for as long as they may and no longer.
  if (strategy.kind !== "recreate") assert.equal(failed, 0, `${what}: failed requests`);
  await second.stop();
  return points();
}

const killed: readonly StrategyKind[] = ["recreate", "rolling", "canary", "blue-green"];
for (const kind of killed) {
  test(`a daemon killed at appends and effects of a rollout by ${kind} goes on where it was`, async (t) => {
    const strategy = all.find(([, one]) => one.kind === kind)?.[1] ?? assert.fail();
    let at = 1;
    for (; (await killAt(strategy, at, at % 4 < 2 ? "before" : "after")) >= at; at += every - 1);
    assert.ok(at > 12, `${at} points`);
    t.diagnostic(`killed at every third of ${at} appends and effects`);
  });
}

for (const [name, strategy] of all) {
  test(`${name}: a machine that loses its power at any moment of a rollout goes on to its target`, async () => {
    for (const cutAfterMs of [100, 400, 900, 1_600, 2_500, 4_000]) {
      const { world, controller } = await oneLive(strategy);
      world.machine.behave({ readyMs: 300 });
      deploy(controller, wanted("two", strategy)).catch(() => {});
      await world.clock.advance(cutAfterMs);
      const stopped = controller.stop();
      world.cutPower();
      await world.clock.advance(3_600_000);
      await stopped;
      const next = await world.startController(undefined, "second");
      await world.clock.advance(45_000);
      await assertRest(world, next, "two", `${name}, power lost after ${cutAfterMs} ms`);
      await next.stop();
    }
  });
}
