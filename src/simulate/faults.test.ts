import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { scale } from "../controller/scale.ts";
import { OperatorError } from "../errors/operator-error.ts";
import type { InstanceName } from "../model/names.ts";
import type { Runtime } from "../ports/runtime.ts";
import { asked, digestOf, done, live, names, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

/** Every daemon of this world sees its machine through this. */
function throughRuntime(world: World, change: (runtime: Runtime) => Partial<Runtime>): void {
  const { runtime } = world.machine;
  world.machine.runtime = () => {
    const real = runtime();
    return { ...real, ...change(real) };
  };
}

test("a disk that is full for a while, at any event of a deploy, only delays it", async () => {
  for (let refused = 1; refused <= 8; refused += 1) {
    const world = createWorld();
    const controller = await world.startController();
    await done(world, deploy(controller, request("one")));
    await world.clock.advance(61_000);
    const { append } = world.journal;
    let calls = 0;
    let full = false;
    world.journal.append = (events) => {
      calls += 1;
      if (calls === refused + 1) {
        full = true;
        world.clock.after(5_000, () => (full = false));
      }
      if (full) throw new OperatorError("DISK_FULL", "Cannot record: the disk is full", { hint: "make room" });
      return append(events);
    };
    await done(world, deploy(controller, request("two")));
    await world.clock.advance(80_000);
    assert.deepEqual(
      states(controller).map(([, , state]) => state),
      ["proven", "proven"],
      `append ${refused}`,
    );
    assert.equal((await world.router.observe()).rules[0]?.stable, "shop-production-v2");
    const kinds = [...world.journal.read()].map(({ data }) => data.kind);
    assert.equal(kinds.filter((kind) => kind === "traffic.switching").length, 2);
    await controller.stop();
  }
});

test("an instance that cannot be looked into does not hide what happened to others", async () => {
  const world = createWorld();
  throughRuntime(world, ({ inspect }) => ({
    inspect: async (name) => {
      if (name === "shop-production-v1-1") throw new Error("no such process");
      return inspect(name);
    },
  }));
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.change("shop-production-v1-2" as InstanceName, { entered: [{ pid: 7, command: "sh" }] });
  await world.clock.advance(10_000);
  assert.deepEqual(names(controller, "shop-production-v1"), ["shop-production-v1-1", "shop-production-v1-3"]);
  await controller.stop();
});

test("an instance that was removed during a look at the machine does not come back by it", async () => {
  const world = createWorld();
  throughRuntime(world, ({ observe }) => ({
    observe: async () => {
      const seen = await observe();
      await new Promise<void>((resolve) => world.clock.after(1_000, resolve));
      return seen;
    },
  }));
  const starting = world.startController();
  await world.clock.advance(2_000);
  const controller = await starting;
  await done(world, deploy(controller, request("one", { instances: 3 })));
  await world.clock.advance(7_000);
  for (let afterMs = 0; afterMs < 5_000; afterMs += 250) {
    await done(world, scale(controller, { ...asked, instances: 3 }));
    await world.clock.advance(afterMs);
    await done(world, scale(controller, { ...asked, instances: 2 }));
    await world.clock.advance(2_000);
  }
  const condemned = [...world.journal.read()].filter(({ data }) => data.kind === "instance.condemned");
  assert.equal(condemned.length, 20);
  await controller.stop();
});

test("a machine that cannot tell its memory is asked again", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  const { machine } = controller.ports;
  const { memory } = machine;
  machine.memory = () => {
    throw new Error("too many open files");
  };
  await world.clock.advance(10_000);
  machine.memory = memory;
  await done(world, deploy(controller, request("two")));
  assert.equal(live(controller), 2);
  await controller.stop();
});

test("what a rollout answered is not guessed when its daemon was lost", async () => {
  const world = createWorld();
  const first = await world.startController();
  await done(world, deploy(first, request("one")));
  world.machine.behave({ readyMs: 2_000 }, digestOf("two"));
  deploy(first, request("two")).catch(() => {});
  await world.clock.advance(500);
  void first.stop();
  const second = await world.startController();
  await world.clock.advance(10_000);
  assert.equal(live(second), 2);
  assert.deepEqual(recordOf(second).releases.get(2)?.measured ?? null, null);
  await second.stop();
});

test("a daemon killed after it recorded a set's end leaves artifacts that the next one frees", async () => {
  const world = createWorld();
  let killed = false;
  throughRuntime(world, ({ release }) => ({
    release: (keep) => (killed ? new Promise<void>(() => {}) : release(keep)),
  }));
  const first = await world.startController();
  await done(world, deploy(first, request("one", { keepWarmMs: 0, watchMs: 0 })));
  killed = true;
  await done(world, deploy(first, request("two", { keepWarmMs: 0, watchMs: 0 })));
  await world.clock.advance(60_000);
  assert.ok([...world.journal.read()].some(({ data }) => data.kind === "set.removed"));
  assert.equal(world.machine.prepared.size, 2);
  void first.stop();
  killed = false;
  const second = await world.startController();
  assert.deepEqual([...world.machine.prepared], [request("two").artifact]);
  await second.stop();
});
