import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { noLimits } from "../model/content.ts";
import { app, digestOf, done, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const limits = (memoryBytes: number | null, cpu: number | null = null) => ({
  limits: { memoryBytes, cpu, pids: null },
});
const key = "shop production";

test("an environment's limits hold before its first instance, change without a release, and go with it", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const seen: unknown[] = [];
  controller.recorder.listen(({ data }) => {
    if (data.kind === "instance.healthy") seen.push(world.machine.limited.get(key));
  });
  await done(world, deploy(controller, request("one", limits(1e9))));
  assert.deepEqual(seen, [limits(1e9).limits, limits(1e9).limits]);
  const again = await done(world, deploy(controller, request("one", limits(2e9))));
  assert.equal(again.created, false);
  await world.clock.advance(100);
  assert.deepEqual(world.machine.limited.get(key), limits(2e9).limits);
  await done(world, deploy(controller, request("one")));
  await world.clock.advance(100);
  assert.deepEqual(world.machine.limited.get(key), noLimits);
  await done(world, down(controller, { app, who: "ada", why: "" }));
  await world.clock.advance(100);
  assert.equal(world.machine.limited.size, 0);
  await controller.stop();
});

test("while a rollout brings other limits the wider ones hold, then those it brought", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one", limits(1e9, 2))));
  world.machine.behave({ readyMs: 5_000 }, digestOf("two"));
  const deployed = deploy(controller, request("two", limits(3e9, 1)));
  await world.clock.advance(1_000);
  assert.deepEqual(world.machine.limited.get(key), limits(3e9, 2).limits);
  await done(world, deployed);
  await world.clock.advance(100);
  assert.deepEqual(world.machine.limited.get(key), limits(3e9, 1).limits);
  await controller.stop();
});

test("a limit that the machine refuses is told and tried again", async () => {
  const world = createWorld();
  let refuses = true;
  const controller = await world.startController((ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      confine: async (...asked) => {
        if (refuses) throw new Error("in use");
        return ports.runtime.confine(...asked);
      },
    },
  }));
  await done(world, deploy(controller, request("one", limits(1e9))));
  assert.notEqual(controller.limitProblem(recordOf(controller)), undefined);
  refuses = false;
  await world.clock.advance(6_000);
  assert.equal(controller.limitProblem(recordOf(controller)), undefined);
  assert.deepEqual(world.machine.limited.get(key), limits(1e9).limits);
  await controller.stop();
});

test("a daemon that starts puts the limits on again", async () => {
  const world = createWorld();
  const first = await world.startController();
  await done(world, deploy(first, request("one", limits(1e9))));
  await first.stop();
  await world.machine.runtime().confine(app, recordOf(first).environment, null, new AbortController().signal);
  const second = await world.startController();
  await world.clock.advance(100);
  assert.deepEqual(world.machine.limited.get(key), limits(1e9).limits);
  await second.stop();
});
