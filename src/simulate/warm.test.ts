import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { asked, digestOf, done, live, names, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

test("the time of a rollback that outlives its daemon counts from the request", async () => {
  const world = createWorld();
  const first = await world.startController();
  await done(world, deploy(first, request("one", { keepWarmMs: 0 })));
  await done(world, deploy(first, request("two", { keepWarmMs: 0 })));
  await world.clock.advance(61_000);
  world.machine.behave({ readyMs: 5_000 }, digestOf("one"));
  rollback(first, asked).catch(() => {});
  await world.clock.advance(1_000);
  void first.stop();
  const second = await world.startController();
  await world.clock.advance(10_000);
  assert.equal(live(second), 3);
  assert.ok((recordOf(second).lastRollbackMs ?? 0) >= 5_000);
  await second.stop();
});

test("a warm set that does not answer is not waited for: the rollback starts anew", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  await done(world, deploy(controller, request("two")));
  await world.clock.advance(5_000);
  for (const name of names(controller, "shop-production-v1")) world.machine.answer(name, null);
  await world.clock.advance(4_000);
  const { release } = await done(world, rollback(controller, asked), 2_000);
  assert.deepEqual([release.warm, release.set], [false, "shop-production-v3"]);
  await controller.stop();
});

test("a rollback after the daemon was held up for seconds is still a warm one", async () => {
  const world = createWorld();
  let standsStill = false;
  const controller = await world.startController((ports) => ({
    ...ports,
    clock: {
      ...ports.clock,
      // Timers that come due while it is held up are not served.
      after: (ms, callback) => ports.clock.after(ms, () => (standsStill ? undefined : callback())),
    },
  }));
  await done(world, deploy(controller, request("one")));
  await done(world, deploy(controller, request("two")));
  await world.clock.advance(5_000);
  standsStill = true;
  await world.clock.advance(8_000);
  standsStill = false;
  const { release } = await done(world, rollback(controller, asked), 2_000);
  assert.deepEqual([release.warm, release.set], [true, "shop-production-v1"]);
  await controller.stop();
});
