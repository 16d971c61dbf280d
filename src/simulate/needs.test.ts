import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { describeEvent } from "../ledger/describe.ts";
import { environmentStatus } from "../controller/status.ts";
import type { EventData } from "../ledger/event.ts";
import { defaultRunSettings } from "../model/content.ts";
import { parseAppName } from "../model/names.ts";
import { digestOf, done, names, recordOf, request } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const db = parseAppName("db");
const database = (text: string) => ({ ...request(text, { route: null, instances: 1 }), app: db });
const shop = (text: string, deadlineMs = 600_000) => request(text, { needs: [db], deadlineMs });

const warnings = (world: World, controller: Controller): readonly string[] =>
  environmentStatus(recordOf(controller), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl: "http://127.0.0.1:80",
    waitsFor: controller.waitsFor(recordOf(controller)),
  }).warnings;

function starts(controller: Controller): Extract<EventData, { kind: "instances.starting" }>[] {
  const found: Extract<EventData, { kind: "instances.starting" }>[] = [];
  controller.recorder.listen(({ data }) => {
    if (data.kind === "instances.starting") found.push(data);
  });
  return found;
}

test("an app that needs another starts when that one serves, and status says what it waits for", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const deployed = deploy(controller, shop("one"));
  await world.clock.advance(10_000);
  assert.deepEqual(names(controller, "shop-production-v1"), []);
  assert.ok(warnings(world, controller).includes("waits for db to serve before it starts"));
  world.machine.behave({ readyMs: 5_000 }, digestOf("a"));
  void deploy(controller, database("a"));
  await world.clock.advance(4_000);
  assert.deepEqual(names(controller, "shop-production-v1"), []);
  await world.clock.advance(2_000);
  await done(world, deployed, 1_000);
  assert.deepEqual(warnings(world, controller), []);
  await controller.stop();
});

test("after a reboot apps come back in order of their needs", async () => {
  const world = createWorld();
  let controller = await world.startController(undefined, "first");
  await done(world, deploy(controller, database("a")));
  await done(world, deploy(controller, shop("one")));
  await world.clock.advance(61_000);
  const stopped = controller.stop();
  world.cutPower();
  await stopped;
  world.machine.behave({ readyMs: 5_000 }, digestOf("a"));
  controller = await world.startController(undefined, "second");
  await world.clock.advance(4_000);
  assert.deepEqual(
    [names(controller, "db-production-v1").length, names(controller, "shop-production-v1").length],
    [1, 0],
  );
  await world.clock.advance(3_000);
  assert.equal(names(controller, "shop-production-v1").length, 2);
  await controller.stop();
});

test("what an app needs is waited for with a bound: then it starts without, and the ledger says so", async () => {
  for (const [deadlineMs, waitMs] of [
    [600_000, 120_000],
    [20_000, 10_000],
  ] as const) {
    const world = createWorld();
    const controller = await world.startController();
    const begun = starts(controller);
    const deployed = deploy(controller, shop("one", deadlineMs));
    await world.clock.advance(waitMs - 1_000);
    assert.deepEqual(begun, []);
    await done(world, deployed, 5_000);
    assert.deepEqual(
      begun.map(({ without }) => without),
      [[db]],
    );
    const [event] = begun;
    assert.ok(event !== undefined);
    assert.match(describeEvent(event), /shop-production-v1-2, without db, which does not serve$/);
    await controller.stop();
  }
});

test("instances of an app that runs are replaced whatever it needs, and a need that goes away ends nothing", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, database("a")));
  await done(world, deploy(controller, shop("one")));
  await world.clock.advance(200_000);
  world.machine.behave({ readyMs: null }, digestOf("a"));
  world.machine.exit(controller.fleet.all().find(({ set }) => set === "db-production-v1")?.name ?? assert.fail(), 1);
  const [first] = names(controller, "shop-production-v1");
  assert.ok(first !== undefined);
  world.machine.exit(first, 1);
  await world.clock.advance(1_000);
  assert.equal(names(controller, "shop-production-v1").filter((name) => name !== first).length, 2);
  await controller.stop();
});

test("a release command waits for what the app needs, as its instances do", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const begun: string[] = [];
  controller.recorder.listen(({ data }) => {
    if (data.kind === "task.started" || data.kind === "instances.starting") begun.push(`${data.kind} ${data.app}`);
  });
  const migrating = {
    ...shop("one"),
    settings: { ...defaultRunSettings, release: { run: ["migrate"], reversible: true, deadlineMs: 60_000 } },
  };
  void deploy(controller, migrating).catch(() => {});
  await world.clock.advance(10_000);
  assert.deepEqual(begun, []);
  await done(world, deploy(controller, database("a")));
  await world.clock.advance(1_000);
  assert.deepEqual(begun.slice(0, 2), ["instances.starting db", "task.started shop"]);
  await controller.stop();
});
