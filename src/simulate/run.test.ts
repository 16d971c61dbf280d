import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { endCommand, runCommand } from "../controller/run-command.ts";
import { OperatorError } from "../errors/operator-error.ts";
import type { RunRequest } from "../model/api/runs.ts";
import { app, asked, done, live, recordOf, request, states, oneLive } from "./testing.ts";
import type { World } from "./world.ts";

const wanted = (command: string, change: Partial<RunRequest> = {}): RunRequest => ({
  ...asked,
  command: [command],
  request: command,
  seen: 0,
  ...change,
});

const ran = (world: World) => world.machine.ran.map(({ instance }) => instance.replace("shop-production-", ""));
const ended = (controller: Controller) =>
  [...recordOf(controller).tasks.values()].map(({ ended: end }) => (end === null ? null : [end.how, end.code]));

/** Only what is live is left, and nothing has changed about it. */
async function assertClean(world: World, controller: Controller): Promise<void> {
  await world.clock.advance(30_000);
  assert.deepEqual(controller.fleet.tasks(), []);
  assert.equal((await world.machine.runtime().observe()).length, 2);
  assert.deepEqual([live(controller), states(controller).length], [1, 1]);
}

test("a command runs once, with the content's own view, and its end is recorded with who asked and why", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("report", { exitMs: 5_000, code: 3, output: ["done"] });
  const { task } = runCommand(controller, wanted("report", { why: "to see" }));
  assert.equal(runCommand(controller, wanted("report")).task, task, "the same request is the same command");
  await world.clock.advance(10_000);
  assert.deepEqual([task.ended?.how, task.ended?.code, ran(world)], ["exited", 3, ["v1-run-1"]]);
  assert.equal(world.machine.ran[0]?.task.sees, "content");
  const events = [...world.journal.read()].map(({ data }) => data);
  const begun = events.find((data) => data.kind === "task.started");
  assert.deepEqual(begun?.kind === "task.started" && [begun.cause?.who, begun.cause?.why], ["ada", "to see"]);
  const last = events.find((data) => data.kind === "task.ended");
  assert.deepEqual(last?.kind === "task.ended" && last.output, ["done"]);
  await assertClean(world, controller);
  await controller.stop();
});

test("a command ends with its caller", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("endless", { exitMs: null });
  const running = runCommand(controller, wanted("endless"));
  await world.clock.advance(1_000);
  await done(world, endCommand(controller, running, "who asked for it went away"));
  await endCommand(controller, running, "once more");
  assert.deepEqual(ended(controller), [["stopped", null]]);
  await assertClean(world, controller);
  await controller.stop();
});

test("a caller that goes away before the command has a process leaves nothing", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("endless", { exitMs: null });
  await done(world, endCommand(controller, runCommand(controller, wanted("endless")), "gone"));
  await assertClean(world, controller);
  await controller.stop();
});

test("a command goes on without its daemon, and the next one records its end", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("report", { exitMs: 10_000 });
  runCommand(controller, wanted("report"));
  await world.clock.advance(1_000);
  await controller.stop();
  await world.clock.advance(20_000);
  const next = await world.startController(undefined, "boot");
  const { task } = runCommand(next, wanted("report"));
  await world.clock.advance(1_000);
  assert.deepEqual([task.ended?.code, ran(world)], [0, ["v1-run-1"]]);
  await assertClean(world, next);
  await next.stop();
});

test("a command is lost with the machine, and not run again", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("report", { exitMs: 10_000 });
  runCommand(controller, wanted("report"));
  await world.clock.advance(1_000);
  const stopped = controller.stop();
  world.cutPower();
  await stopped;
  const next = await world.startController(undefined, "second boot");
  await world.clock.advance(20_000);
  assert.deepEqual([ended(next), ran(world)], [[["lost", null]], ["v1-run-1"]]);
  await next.stop();
});

test("a command that cannot be started says why", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("nothing", { failure: "no such program" });
  const { task } = runCommand(controller, wanted("nothing"));
  await world.clock.advance(1_000);
  assert.deepEqual([task.ended?.how, task.ended?.code], ["not started", null]);
  assert.match(task.ended?.reason ?? "", /no such program/);
  await assertClean(world, controller);
  await controller.stop();
});

test("a command of a release that nothing runs of any more, beside a deploy under way", async () => {
  const { world, controller } = await oneLive();
  await done(world, deploy(controller, request("two", { keepWarmMs: 0, watchMs: 0 })));
  await world.clock.advance(60_000);
  assert.deepEqual([...recordOf(controller).sets.keys()], ["shop-production-v2"]);
  world.machine.behaveTask("report", { exitMs: 5_000 });
  world.machine.behave({ readyMs: 3_000 });
  runCommand(controller, wanted("report", { release: 1 }));
  await done(world, deploy(controller, request("three", { keepWarmMs: 0, watchMs: 0 })));
  assert.deepEqual(ended(controller), [null]);
  await world.clock.advance(60_000);
  assert.deepEqual([ended(controller), ran(world)], [[["exited", 0]], ["v1-run-1"]]);
  assert.deepEqual([...world.machine.prepared], [request("three").artifact], "what the command needed is freed");
  await controller.stop();
});

test("a command goes on across a rollback, and ends with down", async () => {
  const { world, controller } = await oneLive();
  await done(world, deploy(controller, request("two", { watchMs: 0 })));
  world.machine.behaveTask("endless", { exitMs: null });
  runCommand(controller, wanted("endless"));
  await done(world, rollback(controller, asked));
  await world.clock.advance(61_000);
  assert.deepEqual(ended(controller), [null]);
  await done(world, down(controller, { app, who: "ada", why: "" }));
  assert.deepEqual([ended(controller), await world.machine.runtime().observe()], [[["stopped", null]], []]);
  await controller.stop();
});

test("what cannot be run is refused: no release, no process, nothing live, too many at once", async () => {
  const { world, controller } = await oneLive();
  const refused = (change: Partial<RunRequest>, code: string): void =>
    assert.throws(
      () => runCommand(controller, wanted("x", change)),
      (error: unknown) => error instanceof OperatorError && error.code === code,
    );
  refused({ release: 9 }, "NOT_FOUND");
  refused({ like: "worker" }, "NOT_FOUND");
  world.machine.behaveTask("run", { exitMs: null });
  for (let i = 0; i < 16; i += 1) runCommand(controller, wanted(`endless ${i}`));
  refused({}, "LOCKED");
  await done(world, down(controller, { app, who: "ada", why: "" }));
  refused({}, "NOT_FOUND");
  assert.deepEqual(await world.machine.runtime().observe(), []);
  await controller.stop();
});
