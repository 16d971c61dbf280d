import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { environmentStatus } from "../controller/status.ts";
import { defaultRunSettings } from "../model/content.ts";
import { parseAppName } from "../model/names.ts";
import { asked, done, live, names, recordOf, request, states } from "./testing.ts";
import { createWorld } from "./world.ts";

const unrouted = { route: null };
const overTcp = (text: string, settings: Parameters<typeof request>[1] = unrouted) => ({
  ...request(text, settings),
  settings: { ...defaultRunSettings, health: { path: null, tcp: true as const, deadlineMs: 30_000 } },
});

test("without a route a rollout completes when all its instances are healthy, and the router knows nothing of it", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const { release } = await done(world, deploy(controller, overTcp("one")));
  assert.equal(release.number, 1);
  assert.deepEqual(await world.router.observe(), { rules: [], sets: [] });
  await world.clock.advance(61_000);
  assert.deepEqual(states(controller), [[1, null, "proven"]]);
  const status = environmentStatus(recordOf(controller), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl: "http://127.0.0.1:80",
  });
  assert.deepEqual([status.route, status.url, status.healthy], [null, null, 2]);
  await controller.stop();
});

test("without a route what was replaced ends at once, and a rollback brings it back from cold", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, overTcp("one")));
  await world.clock.advance(61_000);
  await done(world, deploy(controller, overTcp("two")));
  await world.clock.until(() => names(controller, "shop-production-v1").length === 0, 60_000);
  assert.deepEqual(names(controller, "shop-production-v1"), []);
  const { release } = await done(world, rollback(controller, asked));
  assert.deepEqual([release.number, release.of, release.warm], [3, 1, false]);
  await controller.stop();
});

test("two apps without a route do not take one from each other", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, overTcp("one")));
  await done(world, deploy(controller, { ...overTcp("one"), app: parseAppName("cache") }));
  assert.equal(controller.state.environments.size, 2);
  await controller.stop();
});

test("a route may be taken away and given back without a release", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  await done(world, deploy(controller, request("one", unrouted)));
  await world.clock.until(() => controller.executor.routing.placed.size === 0, 10_000);
  assert.deepEqual(await world.router.observe(), { rules: [], sets: [] });
  await done(world, deploy(controller, request("one")));
  const { rules, sets } = await world.router.observe();
  assert.deepEqual(
    [rules.map(({ stable }) => stable), sets.map(({ endpoints }) => endpoints.length)],
    [["shop-production-v1"], [2]],
  );
  assert.equal(live(controller), 1);
  await controller.stop();
});

test("after a restart of the daemon what has no route and was healthy counts as such until a probe says otherwise", async () => {
  const world = createWorld();
  const first = await world.startController();
  await done(world, deploy(first, overTcp("one")));
  const [silent] = names(first, "shop-production-v1");
  assert.ok(silent !== undefined);
  await first.stop();
  world.machine.answer(silent, null);
  const second = await world.startController();
  assert.equal(second.fleet.get(silent)?.health.state, "unknown");
  await world.clock.advance(30_000);
  assert.equal(second.fleet.get(silent), undefined);
  assert.equal(second.fleet.all().filter(({ health }) => health.state === "healthy").length, 2);
  await second.stop();
});
