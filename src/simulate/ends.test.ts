import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { scale } from "../controller/scale.ts";
import type { InstanceName, SetName } from "../model/names.ts";
import { app, asked, done, environment, names, recordOf, request } from "./testing.ts";
import { workerName, workRequest } from "./workers.ts";
import { createWorld, type World } from "./world.ts";

const four = ["shop-production-v1-1", "shop-production-v1-2", "shop-production-v1-3", "shop-production-v1-4"];

/** A daemon whose calls that end instances are written down. */
async function startTold(world: World): Promise<{ readonly controller: Controller; readonly told: string[] }> {
  const told: string[] = [];
  const tell = (what: string, instances: readonly InstanceName[]): void => {
    told.push(`${what} ${instances.map((name) => name.slice(-1)).join("")}`);
  };
  const controller = await world.startController((ports) => ({
    ...ports,
    router: {
      ...ports.router,
      drain: (set, instances) => (tell("drain", instances), ports.router.drain(set, instances)),
      cut: (set, instances) => (tell("cut", instances), ports.router.cut(set, instances)),
    },
    runtime: {
      ...ports.runtime,
      remove: (instances, ...rest) => (tell("remove", instances), ports.runtime.remove(instances, ...rest)),
    },
  }));
  return { controller, told };
}

test("instances of a set that ends go together: one call each of the router and the runtime", async () => {
  const world = createWorld();
  const { controller, told } = await startTold(world);
  await done(world, deploy(controller, request("one", { instances: 4, keepWarmMs: 0 })));
  assert.deepEqual(names(controller, "shop-production-v1"), four);
  await done(world, deploy(controller, request("two", { instances: 4, keepWarmMs: 0 })));
  await world.clock.advance(1_000);
  assert.deepEqual(told, ["cut 1234", "remove 1234"]);
  assert.deepEqual(names(controller, "shop-production-v1"), []);
  await controller.stop();
});

test("an instance that has no requests goes, while another that was drained with it still has one", async () => {
  const world = createWorld();
  const { controller, told } = await startTold(world);
  await done(world, deploy(controller, request("one", { instances: 4 })));
  const requests = four.map(() => world.router.request("shop", "/"));
  for (const one of requests) if ("end" in one && !one.instance.endsWith("4")) one.end(200, 1);
  scale(controller, { ...asked, instances: 2 }).catch(() => {});
  await world.clock.advance(500);
  assert.deepEqual(told, ["drain 34", "cut 3", "remove 3"]);
  assert.deepEqual(names(controller, "shop-production-v1"), four.toSpliced(2, 1));
  for (const one of requests) if ("end" in one && one.instance.endsWith("4")) one.end(200, 1);
  await world.clock.advance(1_000);
  assert.deepEqual(told, ["drain 34", "cut 3", "remove 3", "cut 4", "remove 4"]);
  await controller.stop();
});

test("an instance that cannot be ended keeps none of the others of its set: they are gone and recorded", async () => {
  const world = createWorld();
  const stuck = "shop-production-v1-2" as InstanceName;
  const controller = await world.startController((ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      async remove(instances, ...rest) {
        const others = instances.filter((name) => name !== stuck);
        await ports.runtime.remove(others, ...rest);
        if (others.length === instances.length) return;
        world.machine.exit(stuck, 137);
        throw new Error("its cgroup is busy");
      },
    },
  }));
  await done(world, deploy(controller, request("one", { instances: 4 })));
  for (const name of four.slice(0, 3)) world.machine.orphan(name as InstanceName);
  await world.clock.advance(60_000);
  const record = recordOf(controller);
  assert.deepEqual(names(controller, "shop-production-v1").length, 5);
  assert.deepEqual([...(record.sets.get("shop-production-v1" as SetName)?.condemned.keys() ?? [])], [stuck]);
  await controller.stop();
});

test("what goes for one reason is recorded before it is asked who else does: none goes too many, none for two", async () => {
  const world = createWorld();
  const first = await world.startController();
  await done(world, deploy(first, workRequest("one", { instances: 4, processes: { worker: 4 } })));
  await world.clock.advance(5_000);
  await first.stop();
  // It was lost right after half as many were asked for, and with it the supervisors of as many as are too many.
  const orphans = [1, 2].flatMap((ordinal) => [`shop-production-v1-${ordinal}`, workerName(1, ordinal)]);
  for (const name of orphans) world.machine.orphan(name as InstanceName);
  const settings = { ...recordOf(first).settings, instances: 2, processes: { worker: 2 } };
  const counts = { instances: 2, processes: { worker: 2 } };
  const atMs = world.clock.now();
  const cause = { who: "ada", why: "" };
  world.journal.append([{ atMs, data: { kind: "environment.changed", app, environment, settings, counts, cause } }]);
  const second = await world.startController();
  const before = recordOf(second).lastRelease;
  await world.clock.advance(30_000);
  const condemned = [...world.journal.read()].flatMap(({ data }) =>
    data.kind === "instance.condemned" ? [`${data.instance} ${data.type}`] : [],
  );
  assert.deepEqual(condemned.sort(), orphans.map((name) => `${name} broken`).sort());
  assert.equal(recordOf(second).lastRelease, before);
  await second.stop();
});

test("a daemon that is told to stop while the router is asked ends nobody any more: the next one does, with its grace", async () => {
  const world = createWorld();
  const { inFlight } = world.router;
  const answered = Promise.withResolvers<void>();
  world.router.inFlight = async (set) => {
    await answered.promise;
    return inFlight(set);
  };
  const { controller, told } = await startTold(world);
  await done(world, deploy(controller, request("one", { instances: 4 })));
  scale(controller, { ...asked, instances: 2 }).catch(() => {});
  await world.clock.advance(50);
  assert.deepEqual(told, ["drain 34"]);
  const stopped = controller.stop();
  answered.resolve();
  await stopped;
  assert.deepEqual(told, ["drain 34"]);
  const next = await world.startController();
  await world.clock.advance(5_000);
  assert.deepEqual(names(next, "shop-production-v1"), four.slice(0, 2));
  await next.stop();
});
