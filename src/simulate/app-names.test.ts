import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { parseAppName, parseEnvironmentName, type InstanceName } from "../model/names.ts";
import { app, asked, done, names, request } from "./testing.ts";
import { createWorld } from "./world.ts";

const db = parseAppName("db");
const staging = parseEnvironmentName("staging");
const database = (text: string) => ({ ...request(text, { route: null, instances: 1 }), app: db });
const shop = "shop-production-v1-1" as InstanceName;

test("an app's name stands for its live instances, in its own environment only", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  assert.deepEqual(world.machine.resolve(shop, "db"), []);
  await done(world, deploy(controller, database("a")));
  await done(
    world,
    deploy(controller, { ...request("one", { route: { host: "s", path: "/" } }), environment: staging }),
  );
  await world.clock.advance(100);
  const address = controller.fleet.get("db-production-v1-1" as InstanceName)?.address;
  assert.deepEqual(world.machine.resolve(shop, "db"), [address]);
  assert.equal(world.machine.resolve(shop, app).length, 2);
  assert.deepEqual(world.machine.resolve("shop-staging-v1-1" as InstanceName, "db"), []);
  await controller.stop();
});

test("at a switch the name stands for the new instance before the old one is asked to end", async () => {
  const world = createWorld();
  const ended: string[] = [];
  const controller = await world.startController((ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      async remove(gone, ...rest) {
        for (const name of gone) if (name.startsWith("db-")) ended.push(world.machine.resolve(shop, "db").join(" "));
        return ports.runtime.remove(gone, ...rest);
      },
    },
  }));
  await done(world, deploy(controller, request("one")));
  await done(world, deploy(controller, database("a")));
  const before = controller.fleet.get("db-production-v1-1" as InstanceName)?.address;
  await done(world, deploy(controller, database("b")));
  const after = controller.fleet.get("db-production-v2-1" as InstanceName)?.address;
  await world.clock.until(() => names(controller, "db-production-v1").length === 0, 60_000);
  assert.deepEqual(ended, [after]);
  assert.notEqual(before, after);
  await controller.stop();
});

test("one that becomes unusable is no longer stood for, and a failure to tell is made up for", async () => {
  const world = createWorld();
  let failing = false;
  const controller = await world.startController((ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      tellNames: async (...told) => {
        if (failing) throw new Error("no room");
        return ports.runtime.tellNames(...told);
      },
    },
  }));
  await done(world, deploy(controller, request("one")));
  await done(
    world,
    deploy(controller, { ...database("a"), environmentSettings: request("a", { route: null }).environmentSettings }),
  );
  await world.clock.advance(100);
  assert.equal(world.machine.resolve(shop, "db").length, 2);
  failing = true;
  world.machine.answer("db-production-v1-1" as InstanceName, 503);
  await world.clock.advance(6_000);
  failing = false;
  await world.clock.advance(6_000);
  assert.deepEqual(world.machine.resolve(shop, "db"), [
    controller.fleet.get("db-production-v1-2" as InstanceName)?.address,
  ]);
  await controller.stop();
});

test("a daemon that starts puts the names right, and after `down` nothing is stood for", async () => {
  const world = createWorld();
  const first = await world.startController();
  await done(world, deploy(first, request("one")));
  await done(world, deploy(first, database("a")));
  await first.stop();
  await world.machine.runtime().tellNames(asked.environment, [], new AbortController().signal);
  const second = await world.startController();
  assert.equal(world.machine.resolve(shop, "db").length, 1);
  await done(world, down(second, { app: db, who: "ada", why: "" }));
  assert.deepEqual(world.machine.resolve(shop, "db"), []);
  await second.stop();
});
