import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { scale } from "../controller/scale.ts";
import { rollback } from "../controller/rollback.ts";
import { parseAppName, type InstanceName, type SetName } from "../model/names.ts";
import { app, asked, digestOf, done, fails, live, names, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

/** From now on the router takes its time for each change of a route. */
function slowRoutes(world: World, ms: number): void {
  const { route } = world.router;
  world.router.route = async (...change) => {
    await new Promise<void>((resolve) => world.clock.after(ms, resolve));
    await route.apply(world.router, change);
  };
}

/** The status that a client gets now. */
function answer(world: World): number {
  const request = world.router.request("shop", "/");
  if (!("end" in request)) return request.status;
  request.end(200, 1);
  return 200;
}

/** Lets time pass and asks for a page every few ms. @returns how many were not answered with 200 */
async function failedWhile(world: World, ms: number): Promise<number> {
  let failed = 0;
  for (let passed = 0; passed < ms; passed += 5) {
    await world.clock.advance(5);
    if (answer(world) !== 200) failed += 1;
  }
  return failed;
}

const servedBy = async (world: World): Promise<SetName | undefined> => (await world.router.observe()).rules[0]?.stable;

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
