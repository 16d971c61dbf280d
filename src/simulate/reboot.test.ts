import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { asked, digestOf, done, live, names, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const hourMs = 3_600_000;
const serving = async (world: World) => (await world.router.observe()).rules.map(({ stable }) => stable);

/** The power goes and comes back after an hour. What the router kept on its disk may be older than the ledger. */
async function reboot(world: World, controller: Controller, boot: string): Promise<Controller> {
  const stopped = controller.stop();
  world.cutPower();
  await world.clock.advance(hourMs);
  await stopped;
  return world.startController(undefined, boot);
}

async function twoReleases(world: World): Promise<Controller> {
  const controller = await world.startController(undefined, "first");
  await done(world, deploy(controller, request("one")));
  await world.clock.advance(61_000);
  return controller;
}

test("after a reboot the route is there before the first instance, and what was live and warm comes back", async () => {
  const world = createWorld();
  let controller = await twoReleases(world);
  await done(world, deploy(controller, request("two", { keepWarmMs: 4 * hourMs })));
  await world.clock.advance(61_000);
  world.machine.behave({ readyMs: 3_000 });
  controller = await reboot(world, controller, "second");
  assert.deepEqual(await serving(world), ["shop-production-v2"]);
  assert.deepEqual(world.router.request("shop.example", "/"), { status: 503 });
  await world.clock.advance(4_000);
  const request2 = world.router.request("shop.example", "/");
  assert.equal("set" in request2 && request2.set, "shop-production-v2");
  await world.clock.advance(1_000);
  assert.deepEqual(names(controller, "shop-production-v2"), ["shop-production-v2-3", "shop-production-v2-4"]);
  assert.equal(names(controller, "shop-production-v1").length, 2);
  await done(world, rollback(controller, { ...asked }));
  assert.deepEqual(await serving(world), ["shop-production-v1"]);
  await controller.stop();
});

test("a rollout under way goes on to its target after a reboot, however long the machine was off", async () => {
  // At the power cut its instances start; are healthy but nothing is switched; are switched but the ledger does not know.
  for (const cutAfterMs of [10, 2_000, 5_050]) {
    const world = createWorld();
    let controller = await twoReleases(world);
    world.machine.behave({ readyMs: 5_000 }, digestOf("two"));
    void deploy(controller, request("two", { deadlineMs: 60_000 })).catch(() => {});
    await world.clock.advance(cutAfterMs);
    controller = await reboot(world, controller, "second");
    await world.clock.advance(8_000);
    assert.equal(live(controller), 2, `cut after ${cutAfterMs} ms`);
    assert.deepEqual(states(controller).at(-1), [2, null, "watching"]);
    assert.deepEqual(await serving(world), ["shop-production-v2"]);
    await controller.stop();
  }
});

test("a switch whose intent alone is recorded is done again: until then what was live answers", async () => {
  const world = createWorld();
  let controller = await twoReleases(world);
  const { append } = world.journal;
  world.journal.append = (events) => {
    if (events.some(({ data }) => data.kind === "traffic.switched")) throw new Error("power");
    return append(events);
  };
  void deploy(controller, request("two")).catch(() => {});
  await world.clock.advance(1_000);
  assert.notEqual(recordOf(controller).switching, null);
  assert.deepEqual(await serving(world), ["shop-production-v2"]);
  world.journal.append = append;
  world.machine.behave({ readyMs: 3_000 }, digestOf("two"));
  controller = await reboot(world, controller, "second");
  assert.deepEqual(await serving(world), ["shop-production-v1"]);
  await world.clock.advance(4_000);
  assert.equal(live(controller), 2);
  assert.deepEqual(await serving(world), ["shop-production-v2"]);
  await controller.stop();
});

test("time that the machine was off proves no release: its watch begins anew", async () => {
  const world = createWorld();
  let controller = await twoReleases(world);
  await done(world, deploy(controller, request("two")));
  await world.clock.advance(30_000);
  controller = await reboot(world, controller, "second");
  await world.clock.advance(50_000);
  assert.deepEqual(states(controller).at(-1), [2, null, "watching"]);
  await world.clock.advance(11_000);
  assert.deepEqual(states(controller).at(-1), [2, null, "proven"]);
  // Another daemon on the same boot goes on from where the one before was.
  await done(world, deploy(controller, request("three")));
  await world.clock.advance(30_000);
  await controller.stop();
  controller = await world.startController(undefined, "second");
  await world.clock.advance(31_000);
  assert.deepEqual(states(controller).at(-1), [3, null, "proven"]);
  await controller.stop();
});
