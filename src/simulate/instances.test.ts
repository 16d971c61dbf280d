import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { scale } from "../controller/scale.ts";
import type { InstanceName, SetName } from "../model/names.ts";
import { app, asked, digestOf, done, fails, live, names, recordOf, request, states } from "./testing.ts";
import { failedWhile } from "./traffic.ts";
import { createWorld } from "./world.ts";

test("an instance that ends after it was healthy and before the switch is replaced", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: 100 }, digestOf("two"));
  const next = deploy(controller, request("two", { instances: 2 }));
  await world.clock.advance(50);
  const [first, second] = names(controller, "shop-production-v2") as [InstanceName, InstanceName];
  world.machine.answer(second, 500);
  await world.clock.advance(500);
  world.machine.exit(first, 1);
  await world.clock.advance(500);
  world.machine.answer(second, 200);
  await done(world, next, 20_000);
  assert.deepEqual(names(controller, "shop-production-v2"), [second, "shop-production-v2-3"]);
  await controller.stop();
});

test("an instance that was looked at before it had an address becomes healthy", async () => {
  const world = createWorld();
  const controller = await world.startController();
  world.machine.behave({ startMs: 7_000 });
  await done(world, deploy(controller, request("one")), 20_000);
  assert.equal(live(controller), 1);
  await controller.stop();
});

test("the only instance serves until its replacement does", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one", { instances: 1 })));
  const { place } = world.router;
  world.router.place = async (...placed) => {
    await new Promise<void>((resolve) => world.clock.after(200, resolve));
    await place.apply(world.router, placed);
  };
  world.machine.change("shop-production-v1-1" as InstanceName, { entered: [{ pid: 7, command: "sh" }] });
  assert.equal(await failedWhile(world, 5_000), 0);
  assert.deepEqual(names(controller, "shop-production-v1"), ["shop-production-v1-2"]);
  await controller.stop();
});

test("scale() succeeds though a daemon was lost between an instance's end and its record", async () => {
  const world = createWorld();
  const first = await world.startController();
  await done(world, deploy(first, request("one")));
  const lost = "shop-production-v1-2" as InstanceName;
  world.machine.orphan(lost);
  first.recorder.append({
    kind: "instance.condemned",
    app,
    environment: asked.environment,
    instance: lost,
    type: "drift",
    reason: "entered",
  });
  void first.stop();
  await world.machine.runtime().remove([lost], 0, new AbortController().signal);
  const second = await world.startController();
  await done(world, scale(second, { ...asked, instances: 3 }), 5_000);
  assert.equal(recordOf(second).sets.get("shop-production-v1" as SetName)?.condemned.size, 0);
  await second.stop();
});

test("a release whose instances keep ending in the watch is taken back, with no request to tell it", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  await world.clock.advance(61_000);
  world.machine.behave({ exitMs: 1_000 }, digestOf("two"));
  await done(world, deploy(controller, request("two")));
  await world.clock.advance(61_000);
  assert.deepEqual(
    states(controller).map(([, of, state]) => [of, state]),
    [
      [null, "proven"],
      [null, "taken back"],
      [1, "proven"],
    ],
  );
  await controller.stop();
});

test("instances that were being started as their rollout was ended do not stay", async () => {
  for (let afterMs = 0; afterMs <= 400; afterMs += 20) {
    const world = createWorld();
    const controller = await world.startController();
    await done(world, deploy(controller, request("one")));
    world.machine.behave({ startMs: 150, readyMs: 30 }, digestOf("two"));
    deploy(controller, request("two")).catch(() => {});
    await world.clock.advance(190);
    // The first has been healthy and is replaced; the end of one that has not been ends the rollout.
    world.machine.exit("shop-production-v2-1" as InstanceName, 137);
    await world.clock.advance(afterMs);
    await rollback(controller, asked).catch(() => {});
    await world.clock.advance(20_000);
    const left = (await world.machine.runtime().observe()).map(({ name }) => name as string);
    assert.deepEqual(left, ["shop-production-v1-1", "shop-production-v1-2"], `${afterMs} ms later`);
    await controller.stop();
  }
});

test("a deploy that is superseded while its instances are being started leaves none of them", async () => {
  // Before anything of it is to be seen, and between the first sight and the start.
  for (const [prepareMs, ensureMs] of [
    [400, 0],
    [0, 400],
  ] as const) {
    const world = createWorld();
    const pass = (ms: number): Promise<void> => new Promise((resolve) => world.clock.after(ms, resolve));
    let slow = false;
    const controller = await world.startController((ports) => ({
      ...ports,
      runtime: {
        ...ports.runtime,
        async prepare(...asked) {
          if (slow) await pass(prepareMs);
          return ports.runtime.prepare(...asked);
        },
        async ensure(...asked) {
          if (slow) await pass(ensureMs);
          return ports.runtime.ensure(...asked);
        },
      },
    }));
    await done(world, deploy(controller, request("one")));
    slow = true;
    const first = deploy(controller, request("two"));
    first.catch(() => {});
    await world.clock.advance(100);
    const next = deploy(controller, request("three"));
    await fails(world, first, "ROLLOUT_SUPERSEDED");
    await done(world, next);
    await world.clock.advance(5_000);
    assert.deepEqual(
      controller.fleet.all().filter(({ set }) => set === "shop-production-v2"),
      [],
    );
    assert.ok(!(await world.machine.runtime().observe()).some(({ set }) => set === "shop-production-v2"));
    assert.equal(recordOf(controller).sets.has("shop-production-v2" as SetName), false);
    await controller.stop();
  }
});

test("a runtime that starts nothing of what it is asked for is asked again after a while, and longer each time", async () => {
  const world = createWorld();
  let calls = 0;
  let starts = true;
  const controller = await world.startController((ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      async ensure(...wanted) {
        calls += 1;
        if (starts) await ports.runtime.ensure(...wanted);
      },
    },
  }));
  await done(world, deploy(controller, request("one")));
  calls = 0;
  starts = false;
  world.machine.exit("shop-production-v1-1" as InstanceName, 137);
  await world.clock.advance(2_000);
  assert.ok(calls >= 2 && calls <= 5, `asked ${calls} times in 2 s`);
  starts = true;
  await world.clock.advance(5_000);
  assert.equal(controller.instancesOf(recordOf(controller)).length, 2);
  await controller.stop();
});
