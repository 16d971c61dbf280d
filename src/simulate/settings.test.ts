import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { scale } from "../controller/scale.ts";
import { parseAppName } from "../model/names.ts";
import { type app, asked, digestOf, done, fails, names, recordOf, request } from "./testing.ts";
import { failedWhile, slowRoutes } from "./traffic.ts";
import { createWorld } from "./world.ts";

test("times longer than a timer can wait do not make the loop spin", async () => {
  const world = createWorld();
  let longest = 0;
  const { after } = world.clock;
  world.clock.after = (ms, callback) => {
    longest = Math.max(longest, ms);
    return after(ms, callback);
  };
  const controller = await world.startController();
  const long = { keepWarmMs: 30 * 86_400_000, watchMs: 30 * 86_400_000, deadlineMs: 30 * 86_400_000 };
  await done(world, deploy(controller, request("one", long)));
  await done(world, deploy(controller, request("two", long)));
  assert.ok(longest < 2 ** 31, `${longest}`);
  await controller.stop();
});

test("an app whose name begins like another's never takes its route away", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const other = { ...request("one", { route: { host: "other", path: "/" } }), app: "shop-production" as typeof app };
  await done(world, deploy(controller, { ...other, environment: "vps" as typeof asked.environment }));
  await done(world, deploy(controller, request("one")));
  await world.clock.advance(10_000);
  assert.equal((await world.router.observe()).rules.length, 2);
  await controller.stop();
});

test("a failed deploy leaves the environment's settings as they were; one that succeeds brings its own", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  const before = recordOf(controller).settings;
  const settings = { instances: 3, route: { host: "shop", path: "/" } };
  world.machine.behave({ readyMs: null }, digestOf("two"));
  await fails(world, deploy(controller, request("two", settings)), "ROLLOUT_UNHEALTHY");
  assert.deepEqual(recordOf(controller).settings, before);
  assert.equal(names(controller, "shop-production-v1").length, 2);
  const next = deploy(controller, request("three", settings));
  assert.equal(await failedWhile(world, 2_000), 0);
  await done(world, next);
  assert.equal(recordOf(controller).settings.instances, 3);
  assert.equal(names(controller, "shop-production-v3").length, 3);
  assert.deepEqual(
    (await world.router.observe()).rules.map(({ route }) => route),
    [{ host: "shop", path: "/" }],
  );
  await controller.stop();
});

test("scale() during a rollout holds for what goes live, with the other settings it brings", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: 3_000 }, digestOf("two"));
  const next = deploy(controller, request("two", { keepWarmMs: 0 }));
  await world.clock.advance(500);
  const scaled = scale(controller, { ...asked, instances: 3 });
  await done(world, next);
  await done(world, scaled);
  const { instances, keepWarmMs } = recordOf(controller).settings;
  assert.deepEqual([instances, keepWarmMs, names(controller, "shop-production-v2").length], [3, 0, 3]);
  await controller.stop();
});

test("scale() that waits for instances is answered when the app is taken down", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: null }, digestOf("one"));
  const scaled = scale(controller, { ...asked, instances: 3 });
  scaled.catch(() => {});
  await world.clock.advance(1_000);
  await done(world, down(controller, asked), 15_000);
  const { message } = await fails(world, scaled, "ROLLOUT_SUPERSEDED");
  assert.match(message, /3 instances: it was taken down meanwhile/);
  await controller.stop();
});

test("a deploy of what is on its way, with other settings, takes over its instances", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: 3_000 }, digestOf("two"));
  const first = deploy(controller, request("two"));
  first.catch(() => {});
  await world.clock.advance(500);
  const { release } = await done(world, deploy(controller, request("two", { instances: 3 })));
  await fails(world, first, "ROLLOUT_SUPERSEDED");
  assert.deepEqual([release.number, release.set], [3, "shop-production-v2"]);
  assert.equal(names(controller, "shop-production-v2").length, 3);
  await controller.stop();
});

test("deploy() of what is live returns when its new settings hold, and loses no request on the way", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: 500 });
  slowRoutes(world, 300);
  const again = deploy(controller, request("one", { instances: 3, route: { host: "shop", path: "/" } }));
  assert.equal(await failedWhile(world, 2_000), 0);
  const { created } = await done(world, again);
  assert.deepEqual([created, names(controller, "shop-production-v1").length], [false, 3]);
  await controller.stop();
});

test("deploy() of what is live is not answered before its instances serve", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: 500 });
  await done(world, deploy(controller, request("one", { instances: 3 })));
  const serving = controller.fleet.all().filter(({ health }) => health.state === "healthy");
  assert.equal(serving.length, 3);
  await controller.stop();
});

test("a route that was taken while a deploy waited for a rollback is refused", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one", { keepWarmMs: 0 })));
  await done(world, deploy(controller, request("two", { keepWarmMs: 0 })));
  await world.clock.advance(61_000);
  world.machine.behave({ readyMs: 3_000 }, digestOf("one"));
  const back = rollback(controller, asked);
  await world.clock.advance(500);
  const route = { host: "new", path: "/" };
  const waiting = deploy(controller, request("three", { route }));
  waiting.catch(() => {});
  await done(world, deploy(controller, { ...request("two", { route }), app: parseAppName("other") }));
  await done(world, back);
  await fails(world, waiting, "ROUTE_OWNED");
  await controller.stop();
});
