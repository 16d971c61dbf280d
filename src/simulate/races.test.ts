import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { app, asked, digestOf, done, fails, live, names, recordOf, request, states } from "./testing.ts";
import { failedWhile, servedBy, slowRoutes } from "./traffic.ts";
import { createWorld } from "./world.ts";

test("a rollback supersedes a rollback to the same content, which goes on with the instances it has", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one", { keepWarmMs: 0 })));
  await done(world, deploy(controller, request("two", { keepWarmMs: 0 })));
  await world.clock.advance(61_000);
  world.machine.behave({ readyMs: 5_000 }, digestOf("one"));
  const first = rollback(controller, asked);
  first.catch(() => {});
  await world.clock.advance(1_000);
  const second = await done(world, rollback(controller, asked));
  await fails(world, first, "ROLLOUT_SUPERSEDED");
  assert.deepEqual([second.release.number, second.release.of, live(controller)], [4, 1, 4]);
  assert.equal(await servedBy(world), "shop-production-v3");
  await controller.stop();
});

test("a rollback by name supersedes a deploy of the same content under way", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one", { keepWarmMs: 0 })));
  await done(world, deploy(controller, request("two", { keepWarmMs: 0 })));
  await world.clock.advance(61_000);
  world.machine.behave({ readyMs: 5_000 }, digestOf("one"));
  const again = deploy(controller, request("one", { keepWarmMs: 0 }));
  again.catch(() => {});
  await world.clock.advance(1_000);
  const { release } = await done(world, rollback(controller, { ...asked, to: 1 }));
  assert.deepEqual([release.number, live(controller)], [4, 4]);
  await fails(world, again, "ROLLOUT_SUPERSEDED");
  await controller.stop();
});

test("down() while a switch is under way leaves nothing", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  slowRoutes(world, 300);
  const next = deploy(controller, request("two"));
  next.catch(() => {});
  await world.clock.until(() => recordOf(controller).switching !== null, 5_000);
  await world.clock.advance(50);
  await done(world, down(controller, { who: "ada", why: "", app }));
  assert.deepEqual(await world.router.observe(), { rules: [], sets: [] });
  assert.deepEqual([controller.fleet.all(), recordOf(controller).live], [[], null]);
  await controller.stop();
});

test("a rollback while a switch is under way brings back what was live, without a request lost", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  await world.clock.advance(61_000);
  slowRoutes(world, 300);
  const next = deploy(controller, request("two"));
  next.catch(() => {});
  await world.clock.until(() => recordOf(controller).switching !== null, 5_000);
  await world.clock.advance(50);
  const back = rollback(controller, asked);
  const failed = failedWhile(world, 2_000);
  assert.equal(await failed, 0);
  await done(world, back);
  assert.equal(await servedBy(world), "shop-production-v1");
  assert.deepEqual(states(controller), [
    [1, null, "proven"],
    [2, null, "taken back"],
    [3, 1, "proven"],
  ]);
  await controller.stop();
});

test("a deploy while a switch is under way comes after it, without a request lost", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  slowRoutes(world, 300);
  const next = deploy(controller, request("two"));
  next.catch(() => {});
  await world.clock.until(() => recordOf(controller).switching !== null, 5_000);
  await world.clock.advance(50);
  const last = deploy(controller, request("three"));
  assert.equal(await failedWhile(world, 2_000), 0);
  await done(world, last);
  assert.deepEqual(
    states(controller).map(([, , state]) => state),
    ["proven", "proven", "watching"],
  );
  await controller.stop();
});

for (const outcome of ["made", "refused"] as const)
  test(`what proves bad while the router switches to the next release: the switch is ${outcome}`, async () => {
    const world = createWorld();
    const controller = await world.startController();
    await done(world, deploy(controller, request("one")));
    await done(world, deploy(controller, request("two")));
    const { route } = world.router;
    // A call that is under way cannot be called back: what comes of it is waited for.
    world.router.route = async (...change) => {
      world.router.route = route;
      await new Promise<void>((resolve) => world.clock.after(2_000, resolve));
      if (outcome === "refused") throw new Error("the router does not answer");
      await route.apply(world.router, change);
    };
    const next = deploy(controller, request("three"));
    next.catch(() => {});
    await world.clock.until(() => recordOf(controller).switching !== null, 5_000);
    for (let i = 0; i < 40; i += 1) {
      const page = world.router.request("shop", "/");
      if ("end" in page) page.end(i % 2 === 0 ? 500 : 200, 1);
    }
    await world.clock.advance(1_000);
    assert.equal(recordOf(controller).active, 3);
    assert.equal(await failedWhile(world, 2_000), 0);
    if (outcome === "refused") await fails(world, next, "ROLLOUT_SUPERSEDED");
    else await done(world, next);
    assert.equal(recordOf(controller).releases.get(2)?.proof, "taken back");
    assert.equal(await servedBy(world), `shop-production-v${outcome === "refused" ? 1 : 3}`);
    await controller.stop();
  });

test("a deploy comes after a switch that came into effect and whose answer was lost, without a request lost", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  const { route } = world.router;
  world.router.route = async (...change) => {
    world.router.route = route;
    await route.apply(world.router, change);
    throw new Error("the router does not answer");
  };
  const next = deploy(controller, request("two"));
  await world.clock.until(() => world.router.route === route, 5_000);
  await world.clock.advance(50);
  assert.deepEqual([recordOf(controller).switching?.release, live(controller)], [2, 1]);
  const last = deploy(controller, request("three"));
  assert.equal(await failedWhile(world, 2_000), 0);
  await Promise.all([done(world, next), done(world, last)]);
  assert.deepEqual(
    states(controller).map(([, , state]) => state),
    ["proven", "proven", "watching"],
  );
  await controller.stop();
});

test("down() that a deploy follows at once says so, and does not wait for what stays up", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  const next = deploy(controller, request("two"));
  await fails(world, down(controller, { who: "ada", why: "", app }), "ROLLOUT_SUPERSEDED");
  await done(world, next);
  await world.clock.advance(60_000);
  assert.deepEqual([live(controller), names(controller, "shop-production-v1")], [2, []]);
  await controller.stop();
});
