import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { down, watched } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { setSecret } from "../controller/secrets.ts";
import { OperatorError } from "../errors/operator-error.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import { defaultRunSettings, type ReleaseTask } from "../model/content.ts";
import type { InstanceName } from "../model/names.ts";
import { parseSecretName } from "../model/secret.ts";
import type { Check, TestTask } from "../model/tasks.ts";
import { app, asked, done, fails, live, recordOf, request, states, oneLive } from "./testing.ts";
import type { World } from "./world.ts";

const migrate: ReleaseTask = { run: ["migrate"], reversible: true, deadlineMs: 60_000 };
const unit: TestTask = { run: ["unit"], deadlineMs: 60_000, env: { LEVEL: "all" } };
const smoke: Check = { kind: "run", run: ["smoke"], deadlineMs: 60_000 };
const front: Check = { kind: "path", path: "/", status: null };

interface Extras {
  readonly release?: ReleaseTask;
  readonly tests?: readonly TestTask[];
  readonly checks?: readonly Check[];
  readonly watchMs?: number;
  readonly keepWarmMs?: number;
}

function wanted(text: string, { release, tests, checks, ...environment }: Extras): DeployRequest {
  const plain = request(text, { ...environment, ...(checks && { checks }) });
  return {
    ...plain,
    settings: { ...defaultRunSettings, ...(release && { release }) },
    ...(tests && { tests }),
  };
}

const ran = (world: World) => world.machine.ran.map(({ instance }) => instance.replace("shop-production-", ""));
const serving = async (world: World) => (await world.router.observe()).rules.map(({ stable }) => stable);
const kindsAfter = (world: World, seq: number) =>
  [...world.journal.read()].filter((event) => event.seq > seq).map(({ data }) => data.kind);

/** Nothing but the attempt's own events has changed: v1 serves as before, and nothing is left of what was tried. */
async function assertUnchanged(world: World, controller: Controller): Promise<void> {
  await world.clock.advance(60_000);
  assert.equal(live(controller), 1);
  assert.deepEqual(await serving(world), ["shop-production-v1"]);
  assert.deepEqual(
    (await world.machine.runtime().observe()).map(({ name }) => name),
    ["shop-production-v1-1", "shop-production-v1-2"],
  );
  const record = recordOf(controller);
  assert.deepEqual([record.active, record.tasks.size, [...record.sets.keys()]], [null, 0, ["shop-production-v1"]]);
}

test("a deploy runs tests, release command and checks in this order, each once, and none before the last has ended", async () => {
  const { world, controller } = await oneLive();
  const before = recordOf(controller).lastRelease;
  assert.equal(before, 1);
  const seq = controller.state.seq;
  const extras = { release: migrate, tests: [unit, { ...unit, run: ["lint"] }], checks: [smoke, front] };
  const { release } = await done(world, deploy(controller, wanted("two", extras)));
  assert.equal(release.number, 2);
  assert.deepEqual(ran(world), ["v2-test-1", "v2-test-2", "v2-release-1", "v2-check-1"]);
  const kinds = kindsAfter(world, seq).filter((kind) => kind !== "task.running" && kind !== "instance.healthy");
  assert.deepEqual(kinds.slice(0, 13), [
    "trust.verified",
    "release.created",
    "task.started",
    "task.ended",
    "task.started",
    "task.ended",
    "tests.passed",
    "task.started",
    "task.ended",
    "instances.starting",
    "task.started",
    "task.ended",
    "check.answered",
  ]);
  assert.ok(kinds.indexOf("traffic.switched") > 12);
  const [first, , , check] = world.machine.ran;
  assert.deepEqual([first?.task.sees, first?.task.environment], ["artifact", { LEVEL: "all" }]);
  assert.equal(check?.task.sees, "content");
  assert.match(check.task.environment["BRONZE_PREVIEW_URL"] ?? "", /^http:\/\/10\.128\.\d+\.\d+:8080$/);
  await controller.stop();
});

test("tests that an artifact has passed are not run again, others are; the result is attached to it", async () => {
  const { world, controller } = await oneLive();
  await done(world, deploy(controller, wanted("two", { tests: [unit] })));
  const artifact = wanted("two", {}).artifact;
  assert.deepEqual(
    world.evidence.about(artifact).map(({ predicate }) => predicate["result"]),
    ["PASSED"],
  );
  await done(world, deploy(controller, wanted("two", { tests: [unit], release: migrate })));
  assert.deepEqual(ran(world), ["v2-test-1", "v3-release-1"]);
  await done(world, deploy(controller, wanted("two", { tests: [{ ...unit, run: ["more"] }] })));
  assert.deepEqual(ran(world).slice(2), ["v2-test-2"]);
  await controller.stop();
});

for (const [what, code, behaviour, reason] of [
  ["test", "TEST_FAILED", { code: 1, output: ["not ok"] }, /its test \(unit\) ended with status 1/],
  ["test", "TEST_FAILED", { exitMs: null }, /its test \(unit\) did not end in its time/],
  [
    "release",
    "ROLLOUT_FAILED",
    { code: 3, output: ["no such table"] },
    /its release command \(migrate\) ended with status 3/,
  ],
  ["release", "ROLLOUT_FAILED", { exitMs: null }, /its release command \(migrate\) did not end in its time/],
  ["release", "ROLLOUT_FAILED", { failure: "no such program" }, /could not be started .*no such program/],
  ["check", "TEST_FAILED", { code: 2, output: ["wrong title"] }, /check 1 of 2 \(smoke\) ended with status 2/],
  ["check", "TEST_FAILED", { exitMs: null }, /check 1 of 2 \(smoke\) did not end in its time/],
] as const) {
  test(`a ${what} with ${JSON.stringify(behaviour)} ends the rollout and leaves everything as it was`, async () => {
    const { world, controller } = await oneLive();
    world.machine.behaveTask(what, behaviour);
    const extras = { release: migrate, tests: [unit], checks: [smoke, front] };
    const error = await fails(world, deploy(controller, wanted("two", extras)), code);
    assert.match(error.message, reason);
    assert.match(error.hint, /all traffic is still on v1/);
    if ("output" in behaviour) assert.equal(error.cause, behaviour.output.join("\n"));
    assert.deepEqual(states(controller).at(-1), [2, null, "aborted"]);
    await assertUnchanged(world, controller);
    await controller.stop();
  });
}

test("a check whose path is not answered as wanted ends the rollout", async () => {
  const { world, controller } = await oneLive();
  const checks: Check[] = [{ kind: "path", path: "/ready", status: 204 }];
  const error = await fails(world, deploy(controller, wanted("two", { checks })), "TEST_FAILED");
  assert.match(error.message, /its check \(GET \/ready\) was answered with 200, 204 was wanted/);
  await assertUnchanged(world, controller);
  await controller.stop();
});

test("a failed test is attached to the artifact too, and run again at the next attempt", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("unit", { code: 1 });
  await fails(world, deploy(controller, wanted("two", { tests: [unit] })), "TEST_FAILED");
  world.machine.behaveTask("unit", { code: 0 });
  await done(world, deploy(controller, wanted("two", { tests: [unit] })));
  assert.deepEqual(ran(world), ["v2-test-1", "v3-test-1"]);
  assert.deepEqual(
    world.evidence.about(wanted("two", {}).artifact).map(({ predicate }) => predicate["result"]),
    ["FAILED", "PASSED"],
  );
  await controller.stop();
});

test("a rollback runs none of it", async () => {
  const { world, controller } = await oneLive();
  await done(world, deploy(controller, wanted("two", { release: migrate, checks: [smoke], watchMs: 0 })));
  await done(world, deploy(controller, wanted("three", { release: migrate, checks: [smoke], watchMs: 0 })));
  const before = ran(world).length;
  const { release } = await done(world, rollback(controller, asked));
  assert.deepEqual([release.number, release.of, ran(world).length], [4, 2, before]);
  await controller.stop();
});

test("a deploy of a content that is still warm waits for its release command before the switch", async () => {
  const { world, controller } = await oneLive();
  await done(world, deploy(controller, wanted("two", { release: migrate, watchMs: 0 })));
  await done(world, rollback(controller, asked));
  world.machine.behaveTask("migrate", { exitMs: 5_000 });
  const again = deploy(controller, wanted("two", { release: migrate, watchMs: 0 }));
  await world.clock.advance(4_000);
  assert.deepEqual(await serving(world), ["shop-production-v1"]);
  const { release } = await done(world, again);
  assert.equal(release.number, 4);
  assert.equal(ran(world).filter((name) => name.includes("release")).length, 2);
  await controller.stop();
});

test("a newer deploy ends the release command under way, and begins its own only when that is gone", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("migrate", { exitMs: null });
  const first = deploy(controller, wanted("two", { release: migrate }));
  first.catch(() => {});
  await world.clock.advance(1_000);
  world.machine.behaveTask("migrate", { exitMs: 2_000 });
  let most = 0;
  const second = deploy(controller, wanted("three", { release: migrate }));
  second.catch(() => {});
  for (let step = 0; step < 200; step += 1) {
    await world.clock.advance(50);
    const running = (await world.machine.runtime().observe()).filter(
      ({ process, phase }) => process === "release" && phase === "running",
    );
    most = Math.max(most, running.length);
  }
  await fails(world, first, "ROLLOUT_SUPERSEDED");
  await done(world, second);
  assert.deepEqual([most, live(controller), ran(world)], [1, 3, ["v2-release-1", "v3-release-1"]]);
  await controller.stop();
});

test("down ends a task under way and waits until it is gone", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("migrate", { exitMs: null });
  const work = deploy(controller, wanted("two", { release: migrate }));
  work.catch(() => {});
  await world.clock.advance(1_000);
  await done(world, down(controller, { app, who: "ada", why: "" }));
  assert.deepEqual(await world.machine.runtime().observe(), []);
  await fails(world, work, "ROLLOUT_FAILED");
  await controller.stop();
});

test("the rollout's own deadline does not count the time that its tasks take", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("migrate", { exitMs: 50_000 });
  world.machine.behave({ readyMs: 8_000 });
  const slow = { ...wanted("two", { release: migrate }) };
  const { release } = await done(
    world,
    deploy(controller, { ...slow, environmentSettings: { ...slow.environmentSettings, deadlineMs: 10_000 } }),
  );
  assert.equal(release.number, 2);
  await controller.stop();
});

async function failUnderTraffic(world: World): Promise<void> {
  for (let i = 0; i < 40; i += 1) {
    const answer = world.router.request("shop", "/");
    if ("end" in answer) answer.end(500, 1);
  }
  await world.clock.advance(2_000);
}

test("a release whose command is not reversible is held for a person, never taken back by itself", async () => {
  const { world, controller } = await oneLive();
  await done(world, deploy(controller, wanted("two", { release: { ...migrate, reversible: false } })));
  await failUnderTraffic(world);
  const record = recordOf(controller);
  assert.deepEqual([live(controller), record.watch?.held?.to], [2, 1]);
  const seq = controller.state.seq;
  await world.clock.advance(300_000);
  assert.deepEqual(kindsAfter(world, seq), [], "it is told once, and time proves nothing");
  await fails(world, watched(controller, { ...asked, release: 2 }), "ROLLOUT_FAILED");
  const { release } = await done(world, rollback(controller, asked));
  assert.deepEqual([release.of, states(controller)[1]], [1, [2, null, "taken back"]]);
  await controller.stop();
});

test("what replaces a held release does not prove it", async () => {
  const { world, controller } = await oneLive();
  await done(world, deploy(controller, wanted("two", { release: { ...migrate, reversible: false } })));
  await failUnderTraffic(world);
  await done(world, deploy(controller, wanted("three", { release: migrate })));
  assert.deepEqual(states(controller), [
    [1, null, "proven"],
    [2, null, "taken back"],
    [3, null, "watching"],
  ]);
  await controller.stop();
});

test("a release whose command is reversible goes back by itself", async () => {
  const { world, controller } = await oneLive();
  await done(world, deploy(controller, wanted("two", { release: migrate })));
  await failUnderTraffic(world);
  await world.clock.advance(1_000);
  assert.deepEqual([live(controller), recordOf(controller).releases.get(3)?.automatic], [3, true]);
  await controller.stop();
});

for (const endMs of [3_000, 30_000]) {
  test(`a daemon killed while a task runs: the next one waits for its end, ${endMs} ms after its start`, async () => {
    const { world, controller } = await oneLive();
    world.machine.behaveTask("migrate", { exitMs: endMs });
    const work = deploy(controller, wanted("two", { release: migrate }));
    work.catch(() => {});
    await world.clock.advance(1_000);
    void controller.stop();
    await world.clock.advance(5_000);
    const next = await world.startController(undefined, "boot");
    await world.clock.advance(40_000);
    assert.deepEqual([live(next), ran(world)], [2, ["v2-release-1"]]);
    await next.stop();
  });
}

test("the machine goes away under a task: its rollout fails, and it is not run a second time", async () => {
  for (const text of ["unit", "migrate", "smoke"]) {
    const { world, controller } = await oneLive();
    world.machine.behaveTask(text, { exitMs: 20_000 });
    const extras = { release: migrate, tests: [unit], checks: [smoke] };
    const work = deploy(controller, wanted("two", extras));
    work.catch(() => {});
    await world.clock.advance(5_000);
    const before = ran(world);
    const stopped = controller.stop();
    world.cutPower();
    await world.clock.advance(1_000);
    await stopped;
    const next = await world.startController(undefined, "second boot");
    await world.clock.advance(30_000);
    assert.deepEqual([live(next), states(next).at(-1)?.[2], ran(world)], [1, "aborted", before], text);
    assert.match(recordOf(next).releases.get(2)?.failure?.summary ?? "", /ended unseen/);
    await next.stop();
  }
});

test("a task that lost its supervisor and ends is not run again", async () => {
  const { world, controller } = await oneLive();
  world.machine.behaveTask("migrate", { exitMs: null });
  const work = deploy(controller, wanted("two", { release: migrate }));
  work.catch(() => {});
  await world.clock.advance(1_000);
  const name = "shop-production-v2-release-1" as InstanceName;
  world.machine.orphan(name);
  world.machine.exit(name, 0);
  await fails(world, work, "ROLLOUT_FAILED");
  assert.deepEqual(ran(world), ["v2-release-1"]);
  await assertUnchanged(world, controller);
  await controller.stop();
});

test("what tasks wrote is recorded without the values of their content's secrets", async () => {
  const { world, controller } = await oneLive();
  const value = Buffer.from("hunter2-canary");
  await done(
    world,
    setSecret(controller, { ...asked, name: parseSecretName("A"), value: value.toString("base64"), rotate: false }),
  );
  world.machine.behaveTask("migrate", { code: 1, output: ["using hunter2-canary", "failed"] });
  const work = deploy(controller, {
    ...wanted("two", { release: migrate }),
    secrets: [{ name: parseSecretName("A"), variable: false }],
  });
  const error = await fails(world, work, "ROLLOUT_FAILED");
  assert.equal(error.cause, "using [redacted]\nfailed");
  assert.ok(!JSON.stringify([...world.journal.read()]).includes("hunter2"));
  await controller.stop();
});

test("a full disk ends the rollout as what it is, and nothing of the task is left", async () => {
  const { world, controller } = await oneLive();
  await controller.stop();
  const full = await world.startController((ports) => ({
    ...ports,
    runtime: {
      ...ports.runtime,
      startTask: () => Promise.reject(new OperatorError("DISK_FULL", "Cannot start it", { hint: "make room" })),
    },
  }));
  const error = await fails(world, deploy(full, wanted("two", { release: migrate })), "DISK_FULL");
  assert.match(error.hint, /make room; all traffic is still on v1/);
  await assertUnchanged(world, full);
  await full.stop();
});

test("a rollout that fails after a release command which is not reversible says that what it did stays", async () => {
  const { world, controller } = await oneLive();
  const release = { ...migrate, reversible: false };
  world.machine.behaveTask("smoke", { code: 1 });
  const checked = await fails(world, deploy(controller, wanted("two", { release, checks: [smoke] })), "TEST_FAILED");
  assert.match(checked.hint, /still on v1, but what v2's release command did stays: it is not reversible/);
  world.machine.behave({ readyMs: 1_000, exitMs: 10 });
  const ended = await fails(world, deploy(controller, wanted("two", { release })), "ROLLOUT_UNHEALTHY");
  assert.match(ended.hint, /what v3's release command did stays/);
  world.machine.behave({});
  const plain = await fails(
    world,
    deploy(controller, wanted("two", { release: migrate, checks: [smoke] })),
    "TEST_FAILED",
  );
  assert.doesNotMatch(plain.hint, /stays/);
  await controller.stop();
});
