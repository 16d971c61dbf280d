import assert from "node:assert/strict";
import test from "node:test";
import type { ReleaseOutcome } from "../controller/begin.ts";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { scale } from "../controller/scale.ts";
import { rollback } from "../controller/rollback.ts";
import { environmentStatus } from "../controller/status.ts";
import { OperatorError } from "../errors/operator-error.ts";
import { parseAppName, type InstanceName } from "../model/names.ts";
import { app, asked, digestOf, done, fails, live, names, recordOf, request, states } from "./testing.ts";
import { createWorld } from "./world.ts";

test("deploy() goes live when all instances are healthy, and says so again without a new release", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const first = await done(world, deploy(controller, request("one")));
  assert.deepEqual([first.release.number, first.created], [1, true]);
  assert.equal((await world.router.observe()).rules[0]?.stable, "shop-production-v1");
  const again = await done(world, deploy(controller, request("one")));
  assert.deepEqual([again.release.number, again.created], [1, false]);
  await world.clock.advance(60_000);
  assert.deepEqual(states(controller), [[1, null, "proven"]]);
  await controller.stop();
});

test("numbers and targets: v1 good, v2 good, v3 bad late → v4 (= v2) → v5 (= v1) → nothing", async () => {
  const world = createWorld();
  const controller = await world.startController();
  for (const text of ["one", "two", "three"]) {
    await done(world, deploy(controller, request(text)));
    await world.clock.advance(61_000);
  }
  const outcomes: ReleaseOutcome[] = [];
  outcomes.push(await done(world, rollback(controller, asked)));
  outcomes.push(await done(world, rollback(controller, asked)));
  assert.deepEqual(
    outcomes.map(({ release }) => [release.number, release.of]),
    [
      [4, 2],
      [5, 1],
    ],
  );
  await fails(world, rollback(controller, asked), "NO_ROLLBACK_TARGET");
  assert.equal(live(controller), 5);
  await controller.stop();
});

test("a rollback to a warm set starts no instance and takes no time", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  await done(world, deploy(controller, request("two")));
  const before = names(controller, "shop-production-v1");
  const status = environmentStatus(recordOf(controller), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl: "http://127.0.0.1:80",
  });
  assert.deepEqual([status.rollback.target, status.rollback.warm, status.rollback.ready], [1, 2, true]);
  const started = world.clock.now();
  const { release } = await done(world, rollback(controller, asked));
  assert.equal(world.clock.now() - started < 10, true);
  assert.equal(release.warm, true);
  assert.deepEqual(names(controller, "shop-production-v1"), before);
  await world.clock.advance(60_000);
  assert.deepEqual(names(controller, "shop-production-v2"), []);
  await controller.stop();
});

test("a rollback to a cold content starts its instances under the new release's name", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one", { keepWarmMs: 0 })));
  await done(world, deploy(controller, request("two", { keepWarmMs: 0 })));
  await world.clock.advance(61_000);
  assert.deepEqual(names(controller, "shop-production-v1"), []);
  const { release } = await done(world, rollback(controller, asked));
  assert.deepEqual([release.warm, names(controller, "shop-production-v3").length], [false, 2]);
  await controller.stop();
});

test("a failed deploy leaves traffic, desired state and running instances as they were", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  const before = {
    rules: await world.router.observe(),
    names: names(controller, "shop-production-v1"),
    settings: recordOf(controller).settings,
    line: [...recordOf(controller).line],
  };
  world.machine.behave({ readyMs: null }, digestOf("two"));
  const error = await fails(world, deploy(controller, request("two")), "ROLLOUT_UNHEALTHY");
  assert.match(error.message, /0 of 2 instances healthy/);
  await world.clock.advance(60_000);
  assert.deepEqual(
    {
      rules: await world.router.observe(),
      names: names(controller, "shop-production-v1"),
      settings: recordOf(controller).settings,
      line: recordOf(controller).line,
    },
    before,
  );
  assert.deepEqual(names(controller, "shop-production-v2"), []);
  assert.deepEqual(states(controller).at(-1), [2, null, "aborted"]);
  await controller.stop();
});

test("an exit before first healthy fails the rollout at once", async () => {
  const world = createWorld();
  const controller = await world.startController();
  world.machine.behave({ readyMs: null, exitMs: 50, exitCode: 3 }, digestOf("one"));
  const started = world.clock.now();
  await fails(world, deploy(controller, request("one")), "ROLLOUT_UNHEALTHY");
  assert.ok(world.clock.now() - started < 1_000);
  await controller.stop();
});

test("a machine that cannot start an instance ends the rollout with its own error", async () => {
  const world = createWorld();
  const controller = await world.startController();
  world.machine.behave({ failure: "no such command" }, digestOf("one"));
  const error = await fails(world, deploy(controller, request("one")), "RUNTIME_FAILED");
  assert.match(error.message, /no such command/);
  await controller.stop();
});

test("a newer deploy supersedes one under way; a rollback before the switch only ends it", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  world.machine.behave({ readyMs: 20_000 }, digestOf("slow"));
  const slow = deploy(controller, request("slow"));
  slow.catch(() => {});
  await world.clock.advance(500);
  await done(world, deploy(controller, request("three")));
  await fails(world, slow, "ROLLOUT_SUPERSEDED");
  const slowAgain = deploy(controller, request("slow"));
  slowAgain.catch(() => {});
  await world.clock.advance(500);
  const { release, created } = await done(world, rollback(controller, asked));
  assert.deepEqual([release.number, created], [3, false]);
  await fails(world, slowAgain, "ROLLOUT_FAILED");
  assert.equal(recordOf(controller).lastRelease, 4);
  await controller.stop();
});

test("a deploy that arrives during a rollback waits for its end", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one", { keepWarmMs: 0 })));
  await done(world, deploy(controller, request("two", { keepWarmMs: 0 })));
  await world.clock.advance(61_000);
  world.machine.behave({ readyMs: 5_000 }, digestOf("one"));
  const back = rollback(controller, asked);
  await world.clock.advance(500);
  const next = deploy(controller, request("three", { keepWarmMs: 0 }));
  assert.equal((await done(world, back)).release.number, 3);
  assert.equal((await done(world, next)).release.number, 4);
  assert.deepEqual(
    states(controller).map(([, , state]) => state),
    ["proven", "proven", "proven", "watching"],
  );
  await controller.stop();
});

test("the watch takes a bad release back, and never keeps it warm", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  await done(world, deploy(controller, request("two")));
  for (let i = 0; i < 40; i += 1) {
    const answer = world.router.request("shop", "/");
    if ("end" in answer) answer.end(i % 2 === 0 ? 500 : 200, 1);
  }
  await world.clock.advance(1_000);
  assert.equal(live(controller), 3);
  assert.deepEqual(states(controller), [
    [1, null, "proven"],
    [2, null, "taken back"],
    [3, 1, "proven"],
  ]);
  assert.equal(recordOf(controller).releases.get(3)?.automatic, true);
  await world.clock.advance(60_000);
  assert.deepEqual(names(controller, "shop-production-v2"), []);
  await controller.stop();
});

test("a first deploy is only warned about", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  for (let i = 0; i < 40; i += 1) {
    const answer = world.router.request("shop", "/");
    if ("end" in answer) answer.end(500, 1);
  }
  await world.clock.advance(1_000);
  assert.equal(live(controller), 1);
  assert.equal(recordOf(controller).watch?.warned, true);
  await controller.stop();
});

test("a killed instance, a dead supervisor and a drifted instance are each replaced", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  const [first, second] = names(controller, "shop-production-v1") as [InstanceName, InstanceName];
  world.machine.exit(first, 137);
  await world.clock.advance(1_000);
  assert.deepEqual(names(controller, "shop-production-v1"), [second, "shop-production-v1-3"]);
  world.machine.orphan(second);
  await world.clock.advance(500);
  assert.deepEqual(names(controller, "shop-production-v1"), ["shop-production-v1-3", "shop-production-v1-4"]);
  world.machine.change("shop-production-v1-3" as InstanceName, { entered: [{ pid: 7, command: "sh" }] });
  await world.clock.advance(40_000);
  assert.deepEqual(names(controller, "shop-production-v1"), ["shop-production-v1-4", "shop-production-v1-5"]);
  const { sets } = await world.router.observe();
  assert.deepEqual(
    sets.find(({ set }) => set === "shop-production-v1")?.endpoints.map(({ instance }) => instance),
    ["shop-production-v1-4", "shop-production-v1-5"],
  );
  await controller.stop();
});

test("a new controller goes on where one was lost, at any moment of a deploy", async () => {
  for (let afterMs = 0; afterMs < 400; afterMs += 20) {
    const world = createWorld();
    world.machine.behave({ startMs: 50, readyMs: 100 });
    const first = await world.startController();
    await done(world, deploy(first, request("one")));
    void deploy(first, request("two")).catch(() => {});
    await world.clock.advance(afterMs);
    // As by kill -9: nothing waits for what it had under way.
    void first.stop();
    const second = await world.startController();
    await world.clock.advance(30_000);
    assert.equal(live(second), 2, `after ${afterMs} ms`);
    assert.equal(recordOf(second).active, null);
    assert.equal((await world.router.observe()).rules[0]?.stable, "shop-production-v2");
    assert.equal(names(second, "shop-production-v2").length, 2);
    await second.stop();
  }
});

test("scale() changes the number of instances without a release; down() leaves nothing", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  await done(world, scale(controller, { ...asked, instances: 5 }));
  assert.equal(names(controller, "shop-production-v1").length, 5);
  await done(world, scale(controller, { ...asked, instances: 1 }));
  assert.equal(names(controller, "shop-production-v1").length, 1);
  assert.equal(recordOf(controller).lastRelease, 1);
  await done(world, down(controller, { who: "ada", why: "", app }));
  assert.deepEqual(await world.router.observe(), { rules: [], sets: [] });
  assert.deepEqual(controller.fleet.all(), []);
  const { release } = await done(world, deploy(controller, request("one")));
  assert.equal(release.number, 2);
  await controller.stop();
});

test("a route has one owner, and the second is told who", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one")));
  const error = await fails(
    world,
    deploy(controller, { ...request("one"), app: parseAppName("thief") }),
    "ROUTE_OWNED",
  );
  assert.match(error.message, /shop in production has it/);
  await controller.stop();
});

test("scale() probes an instance at once that was first seen while it was being started", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("a")));
  world.machine.behave({ startMs: 500 }, digestOf("b"));
  await done(world, deploy(controller, request("b")));
  // The warm set has its new instance sooner, and everything is looked at then.
  await done(world, scale(controller, { ...asked, instances: 3 }), 5_000);
  assert.ok(controller.fleet.all().every(({ health }) => health.state === "healthy"));
});

test("down() of an app that is not there names what was most likely meant", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("a")));
  await assert.rejects(
    down(controller, { ...asked, app: parseAppName("shpo") }),
    (error: unknown) => error instanceof OperatorError && /did you mean shop in production/.test(error.hint),
  );
});

test("environmentStatus() of the past counts the instances that the ledger knows to be healthy", async () => {
  const world = createWorld();
  const controller = await world.startController();
  const { record } = await done(world, deploy(controller, request("a")));
  const past = { instances: null, nowMs: world.clock.now(), routerUrl: "http://127.0.0.1:80" };
  const { healthy, wanted, warnings } = environmentStatus(record, past);
  assert.deepEqual([healthy, wanted, warnings], [2, 2, []]);
  await controller.stop();
});

test("instances that keep ending are started after 0, 1, 2, 4 … 60 s, and environmentStatus() says so", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, request("one", { instances: 1, watchMs: 0 })));
  world.machine.behave({ exitMs: 100, exitCode: 3 });
  world.machine.exit("shop-production-v1-1" as InstanceName, 137);
  await world.clock.advance(400_000);
  const events = [...world.journal.read()];
  const exits = events.filter(({ data }) => data.kind === "instance.exited").map(({ atMs }) => atMs);
  const starts = events.filter(({ data }) => data.kind === "instances.starting").map(({ atMs }) => atMs);
  const waits = exits.map((exitedAt) => (starts.find((startedAt) => startedAt >= exitedAt) ?? Infinity) - exitedAt);
  assert.deepEqual(
    waits.slice(0, 9).map((ms) => Math.round(ms / 1_000)),
    [0, 1, 2, 4, 8, 16, 32, 60, 60],
  );
  const { warnings } = environmentStatus(recordOf(controller), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl: "http://127.0.0.1:80",
  });
  assert.match(warnings.join("\n"), /instances of v1 keep ending: \d+ times in a row, the next start is in \d+ s/);
  await controller.stop();
});
