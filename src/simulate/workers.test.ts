import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { scale } from "../controller/scale.ts";
import { environmentStatus } from "../controller/status.ts";
import { app, asked, done, fails, live, names, recordOf, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";
import { besideFor, drainMs, workDigest, workRequest, worker, workerName, workersNow } from "./workers.ts";

function statusOf(world: World, controller: Controller) {
  const instances = controller.fleet.all();
  return environmentStatus(recordOf(controller), { instances, nowMs: world.clock.now(), routerUrl: "http://x" });
}

test("a worker starts at the switch, is healthy after a second, and is named in the status", async () => {
  const world = createWorld();
  const controller = await world.startController();
  world.machine.behave({ readyMs: 5_000 });
  const work = deploy(controller, workRequest("one", { processes: { worker: 2 } }));
  await world.clock.advance(4_900);
  assert.deepEqual(await workersNow(world), [], "none before the switch");
  await done(world, work);
  await world.clock.advance(500);
  assert.deepEqual(await workersNow(world), [workerName(1, 1), workerName(1, 2)]);
  assert.deepEqual(statusOf(world, controller).workers, [{ process: worker, wanted: 2, running: 2, healthy: 0 }]);
  await world.clock.advance(600);
  const status = statusOf(world, controller);
  assert.deepEqual(status.workers, [{ process: worker, wanted: 2, running: 2, healthy: 2 }]);
  assert.deepEqual([status.healthy, status.wanted, status.warnings], [1, 1, []]);
  const past = { instances: null, nowMs: world.clock.now(), routerUrl: "http://x" };
  const { workers, healthy } = environmentStatus(recordOf(controller), past);
  assert.deepEqual([workers, healthy], [status.workers, 1], "from the ledger alone, as for a moment of the past");
  assert.deepEqual(
    status.instances.map(({ process, role, health }) => [process, role, health]),
    [
      ["web", "live", "healthy"],
      ["worker", "live", "healthy"],
      ["worker", "live", "healthy"],
    ],
  );
  await controller.stop();
});

test("at a switch the old worker has its drain and the new one starts; old and new are never side by side longer", async () => {
  for (const [endsOnTerm, least, most] of [
    [true, 0, 20],
    [false, drainMs - 20, drainMs + 20],
  ] as const) {
    const world = createWorld();
    const controller = await world.startController();
    world.machine.behave({ endsOnTerm }, undefined, worker);
    await done(world, deploy(controller, workRequest("one")));
    await world.clock.advance(61_000);
    await done(world, deploy(controller, workRequest("two")));
    const beside = await besideFor(world, drainMs + 2_000);
    assert.ok(beside >= least && beside <= most, `${beside} ms`);
    assert.deepEqual(await workersNow(world), [workerName(2)]);
    await controller.stop();
  }
});

test("a rollback is as quick as without workers, starts them again, and status said before that it would", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one", { processes: { worker: 2 } })));
  await world.clock.advance(61_000);
  await done(world, deploy(controller, workRequest("two", { processes: { worker: 2 } })));
  await world.clock.advance(61_000);
  const { rollback: readiness } = statusOf(world, controller);
  assert.deepEqual([readiness.ready, readiness.workers], [true, [{ process: worker, count: 2 }]]);
  const before = world.clock.now();
  const { release } = await done(world, rollback(controller, asked));
  assert.ok(world.clock.now() - before < 10);
  assert.equal(release.warm, true);
  await world.clock.advance(100);
  assert.deepEqual(await workersNow(world), [workerName(1, 3), workerName(1, 4)]);
  await controller.stop();
});

test("a rollback while the old worker still drains starts another and lets that one end", async () => {
  const world = createWorld();
  const controller = await world.startController();
  world.machine.behave({ endsOnTerm: false }, workDigest("one"), worker);
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  await done(world, deploy(controller, workRequest("two")));
  await world.clock.advance(5_000);
  assert.deepEqual(await workersNow(world), [workerName(1), workerName(2)]);
  await done(world, rollback(controller, asked));
  await world.clock.advance(100);
  assert.deepEqual(await workersNow(world), [workerName(1, 1), workerName(1, 2)]);
  await world.clock.advance(15_000);
  assert.deepEqual(await workersNow(world), [workerName(1, 2)]);
  await controller.stop();
});

test("a deploy that fails never touches the workers of what is live", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  const before = await world.machine.runtime().observe();
  world.machine.behave({ exitMs: 100, readyMs: null }, workDigest("two"));
  await fails(world, deploy(controller, workRequest("two")), "ROLLOUT_UNHEALTHY");
  await world.clock.advance(60_000);
  assert.deepEqual(await world.machine.runtime().observe(), before);
  await controller.stop();
});

test("a worker that ends is replaced, one that keeps ending after 0, 1, 2, 4 … s, and status says so", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(200_000);
  world.machine.exit(workerName(1), 137, true);
  await world.clock.advance(10);
  assert.deepEqual(await workersNow(world), [workerName(1, 2)]);
  const exit = [...world.journal.read()].find(({ data }) => data.kind === "instance.exited")?.data;
  assert.ok(exit?.kind === "instance.exited" && exit.outOfMemory);
  const starts: number[] = [];
  controller.recorder.listen(({ data }) => {
    if (data.kind === "instances.starting") starts.push(world.clock.now());
  });
  world.machine.behave({ exitMs: 50 }, undefined, worker);
  world.machine.exit(workerName(1, 2), 0);
  await world.clock.advance(30_000);
  const gaps = starts.slice(1).map((atMs, index) => atMs - (starts[index] ?? 0));
  assert.deepEqual(gaps.slice(0, 3), [2_050, 4_050, 8_050]);
  const { warnings, healthy } = statusOf(world, controller);
  assert.ok(
    warnings.some((text) => /^worker instances of v1 keep ending: \d times in a row/.test(text)),
    warnings.join("\n"),
  );
  assert.ok(warnings.includes("worker: 0 of 1 instances run"));
  assert.equal(healthy, 1, "web serves on, at once replaced where it should be");
  assert.equal(live(controller), 1);
  await controller.stop();
});

test("a release whose worker ends twice within the watch is taken back; one whose worker ends once is not", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  await done(world, deploy(controller, workRequest("two")));
  await world.clock.advance(5_000);
  world.machine.exit(workerName(2), 1);
  await world.clock.advance(61_000);
  world.machine.behave({ exitMs: 1_500 }, workDigest("three"), worker);
  await done(world, deploy(controller, workRequest("three")));
  await world.clock.advance(10_000);
  assert.deepEqual(states(controller).slice(1), [
    [2, null, "proven"],
    [3, null, "taken back"],
    [4, 2, "proven"],
  ]);
  assert.match(
    recordOf(controller).releases.get(3)?.takenBackBecause ?? "",
    /its worker keeps ending, 2 times since the switch: the last exited with status 1$/,
  );
  assert.equal(live(controller), 4);
  assert.deepEqual(await workersNow(world), [workerName(2, 3)]);
  await controller.stop();
});

test("a release whose worker cannot be started at all is taken back, with the reason in the history", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  world.machine.behave({ failure: "no such file: work" }, workDigest("two"), worker);
  await done(world, deploy(controller, workRequest("two")));
  await world.clock.advance(10_000);
  assert.deepEqual(
    states(controller).map(([, , state]) => state),
    ["proven", "taken back", "proven"],
  );
  const failed = [...world.journal.read()].flatMap(({ data }) => (data.kind === "instances.failed" ? data : []));
  assert.equal(failed.length, 2);
  assert.match(failed[0]?.reason ?? "", /no such file: work/);
  assert.equal((await workersNow(world)).length, 1);
  await controller.stop();
});

test("a first deploy whose worker keeps ending is warned about, and tried again with the delays", async () => {
  const world = createWorld();
  const controller = await world.startController();
  world.machine.behave({ failure: "no such file" }, undefined, worker);
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(40_000);
  assert.deepEqual(states(controller), [[1, null, "watching"]]);
  assert.equal(recordOf(controller).watch?.warned, true);
  const tries = [...world.journal.read()].filter(({ data }) => data.kind === "instances.failed").length;
  assert.equal(tries, 7, "after 0, 0, 1, 2, 4, 8 and 16 s");
  world.machine.behave({}, undefined, worker);
  await world.clock.advance(40_000);
  assert.equal((await workersNow(world)).length, 1);
  await controller.stop();
});

test("a worker that drifted, and one that lost its supervisor, are replaced", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  world.machine.change(workerName(1), { entered: [{ pid: 7, command: "sh" }] });
  await world.clock.advance(3_000);
  assert.deepEqual(await workersNow(world), [workerName(1, 2)]);
  world.machine.orphan(workerName(1, 2));
  await world.clock.advance(3_000);
  assert.deepEqual(await workersNow(world), [workerName(1, 3)]);
  assert.equal(recordOf(controller).sets.values().next().value?.condemned.size, 0);
  await controller.stop();
});

test("scale() changes a process's number, to 0 too, and refuses one that is not there", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await done(world, scale(controller, { ...asked, processes: { worker: 3 } }));
  assert.equal((await workersNow(world)).length, 3);
  assert.deepEqual(statusOf(world, controller).workers, [{ process: worker, wanted: 3, running: 3, healthy: 3 }]);
  await done(world, scale(controller, { ...asked, instances: 2 }));
  assert.equal((await workersNow(world)).length, 3);
  await done(world, scale(controller, { ...asked, processes: { worker: 0 } }));
  assert.deepEqual(await workersNow(world), []);
  const error = await fails(world, scale(controller, { ...asked, processes: { wroker: 3 } }), "NOT_FOUND");
  assert.match(error.hint, /did you mean worker\?/);
  assert.deepEqual(recordOf(controller).settings.processes, { worker: 0 });
  await controller.stop();
});

test("numbers of a deploy hold from its switch on, those of scale() in it for what goes live", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one", { processes: { worker: 2 } })));
  world.machine.behave({ readyMs: 5_000 }, workDigest("two"));
  const next = deploy(controller, workRequest("two", { processes: { worker: 4 } }));
  await world.clock.advance(1_000);
  assert.equal((await workersNow(world)).length, 2);
  const scaled = scale(controller, { ...asked, processes: { worker: 3 } });
  await done(world, next);
  await done(world, scaled);
  await world.clock.advance(1_000);
  assert.deepEqual(
    await workersNow(world),
    [1, 2, 3].map((ordinal) => workerName(2, ordinal)),
  );
  await done(world, deploy(controller, workRequest("two", { processes: { worker: 1 } })));
  assert.equal((await workersNow(world)).length, 1, "what is live takes new numbers at once");
  await controller.stop();
});

test("down() ends workers with the rest, in their drain", async () => {
  const world = createWorld();
  const controller = await world.startController();
  world.machine.behave({ endsOnTerm: false }, undefined, worker);
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  const before = world.clock.now();
  await done(world, down(controller, { who: "ada", why: "", app }));
  assert.deepEqual(await world.machine.runtime().observe(), []);
  assert.ok(world.clock.now() - before <= drainMs + 1_000);
  await controller.stop();
});

test("a daemon that comes back leaves workers alone, and after a reboot they are there again", async () => {
  const world = createWorld();
  const first = await world.startController(undefined, "first");
  await done(world, deploy(first, workRequest("one")));
  await world.clock.advance(61_000);
  const before = await world.machine.runtime().observe();
  await first.stop();
  await world.clock.advance(10_000);
  const second = await world.startController(undefined, "first");
  assert.deepEqual(statusOf(world, second).workers, [{ process: worker, wanted: 1, running: 1, healthy: 1 }]);
  await world.clock.advance(61_000);
  assert.deepEqual(await world.machine.runtime().observe(), before);
  const stopped = second.stop();
  world.cutPower();
  await world.clock.advance(3_600_000);
  await stopped;
  const third = await world.startController(undefined, "second");
  await world.clock.advance(2_000);
  assert.deepEqual(await workersNow(world), [workerName(1, 2)]);
  await third.stop();
});

test("a content without the worker ends it; one with it again starts it", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  const { settings, ...rest } = workRequest("two");
  const { processes: _, ...without } = settings;
  await done(world, deploy(controller, { ...rest, settings: without }));
  await world.clock.advance(1_000);
  assert.deepEqual(await workersNow(world), []);
  assert.deepEqual(statusOf(world, controller).workers, []);
  await done(world, rollback(controller, asked));
  await world.clock.advance(1_000);
  assert.equal((await workersNow(world)).length, 1);
  await controller.stop();
});

test("a release whose web fails in the watch is taken back, however well its worker works", async () => {
  const world = createWorld();
  const controller = await world.startController();
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  await done(world, deploy(controller, workRequest("two")));
  await world.clock.advance(2_000);
  for (const name of names(controller, "shop-production-v2")) world.machine.answer(name, 500);
  await world.clock.advance(30_000);
  assert.deepEqual(states(controller).at(1), [2, null, "taken back"]);
  await controller.stop();
});

test("a worker that was about to start as another release went live is not started", async () => {
  const world = createWorld();
  world.machine.behave({ endsOnTerm: false }, workDigest("one"), worker);
  let slowMs = 0;
  const controller = await world.startController((ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      async prepare(...asked) {
        const ms = slowMs;
        slowMs = 0;
        if (ms > 0) await new Promise<void>((resolve) => ports.clock.after(ms, resolve));
        return ports.runtime.prepare(...asked);
      },
    },
  }));
  await done(world, deploy(controller, workRequest("one")));
  await world.clock.advance(61_000);
  await done(world, deploy(controller, workRequest("two")));
  await world.clock.advance(drainMs + 1_000);
  slowMs = 500;
  await done(world, rollback(controller, asked));
  await done(world, deploy(controller, workRequest("two")), 400);
  await world.clock.advance(3_000);
  // It would have its drain to end, were it started.
  assert.deepEqual(
    (await workersNow(world)).filter((name) => name.startsWith("shop-production-v1")),
    [],
  );
  await controller.stop();
});
