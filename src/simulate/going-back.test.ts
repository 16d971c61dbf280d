import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { deployResult } from "../daemon/deploy-result.ts";
import { environmentStatus, releaseRow } from "../controller/status.ts";
import { describeEvent } from "../ledger/describe.ts";
import { defaultRunSettings, type ReleaseTask, type VolumeMount } from "../model/content.ts";
import type { ReleaseOutcome } from "../controller/begin.ts";
import { asked, digestOf, done, fails, live, recordOf, request, states } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const migrate: ReleaseTask = { run: ["migrate"], reversible: false, deadlineMs: 60_000 };
const mount: VolumeMount = { path: "/var/lib/data", sharing: "exclusive", snapshot: false };
const routerUrl = "http://127.0.0.1:8080/";

const migrating = (text: string) => ({ ...request(text), settings: { ...defaultRunSettings, release: migrate } });
const leaves = (outcome: ReleaseOutcome) => deployResult(outcome, routerUrl).leaves;
const toldOf = (world: World, release: number) =>
  [...world.journal.read()]
    .map(({ data }) => data)
    .filter((data) => data.kind === "release.created" && data.release === release)
    .map(describeEvent);

test("going back behind a release command that is not reversible says so: before, with the result, and in the history", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one")));
  const second = await done(world, deploy(controller, migrating("two")));
  assert.equal(leaves(second), undefined);
  await done(world, deploy(controller, request("three")));
  await world.clock.advance(61_000);
  const status = environmentStatus(recordOf(controller), {
    instances: controller.fleet.all(),
    nowMs: world.clock.now(),
    routerUrl,
  });
  assert.deepEqual([status.rollback.target, status.rollback.leaves], [2, []]);
  const back = await done(world, rollback(controller, { ...asked, to: 1 }));
  assert.deepEqual(leaves(back), [2]);
  assert.deepEqual(releaseRow(back.record, back.release).leaves, [2]);
  assert.match(
    toldOf(world, 4)[0] ?? "",
    /rollback by ada; what v2's release command did stays: it is not reversible$/,
  );
  // What serves again has been told of: a change of it is no going back.
  assert.equal(
    leaves(await done(world, deploy(controller, { ...request("one"), config: { LEVEL: "all" } }))),
    undefined,
  );
  await done(world, deploy(controller, migrating("four")));
  assert.deepEqual(leaves(await done(world, deploy(controller, request("three")))), [6]);
  assert.match(toldOf(world, 7)[0] ?? "", /deploy by ada; what v6's release command did stays/);
  await controller.stop();
});

test("a rollout that is ended after a release command which is not reversible says so to both", async () => {
  for (const how of ["rollback", "deploy"]) {
    const world = createWorld();
    const controller = await world.startController(undefined, "boot");
    await done(world, deploy(controller, request("one")));
    const two = migrating("two");
    world.machine.behave({ readyMs: 20_000 }, digestOf("two", { release: migrate }));
    const work = deploy(controller, two);
    work.catch(() => {});
    await world.clock.advance(5_000);
    const ending = how === "rollback" ? rollback(controller, asked) : deploy(controller, request("one"));
    const outcome = await done(world, ending);
    assert.deepEqual([outcome.created, outcome.release.number, leaves(outcome)], [false, 1, [2]]);
    // A deploy of what is live is told that it is.
    assert.equal(outcome.ended, how === "rollback" ? 2 : undefined);
    const error = await fails(world, work, how === "rollback" ? "ROLLOUT_FAILED" : "ROLLOUT_SUPERSEDED");
    assert.match(error.hint, /but what v2's release command did stays: it is not reversible$/);
    await controller.stop();
  }
});

test("what was never live is not gone back to: its tests, its checks and its release command would be gone past", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one")));
  world.machine.behaveTask("unit", { code: 1 });
  const tests = [{ run: ["unit"], deadlineMs: 60_000, env: {} }];
  await fails(world, deploy(controller, { ...request("two"), tests }), "TEST_FAILED");
  const error = await fails(world, rollback(controller, { ...asked, to: 2 }), "NO_ROLLBACK_TARGET");
  assert.match(error.message, /to v2: its content was never live$/);
  world.machine.behaveTask("unit", { exitMs: 20_000 });
  const under = deploy(controller, { ...request("two"), tests });
  under.catch(() => {});
  await world.clock.advance(1_000);
  await fails(world, rollback(controller, { ...asked, to: 3 }), "NO_ROLLBACK_TARGET");
  assert.equal((await done(world, under)).release.number, 3);
  await controller.stop();
});

test("what comes back with a volume that only one may have comes with one instance, whatever the number was raised to", async () => {
  for (const how of ["by the watch", "by a person"]) {
    const world = createWorld();
    const controller = await world.startController(undefined, "boot");
    const one = request("one", { instances: 1 });
    await done(world, deploy(controller, { ...one, settings: { ...one.settings, volumes: { data: mount } } }));
    await world.clock.advance(61_000);
    const two = request("two", { instances: 3 });
    await done(world, deploy(controller, two));
    await world.clock.advance(3_000);
    if (how === "by a person") await done(world, rollback(controller, asked));
    else {
      world.machine.behave({ status: 500 }, digestOf("two"));
      for (const { name } of controller.fleet.all()) world.machine.answer(name, 500);
      await world.clock.advance(30_000);
    }
    assert.deepEqual(states(controller).at(-1), [3, 1, "proven"], how);
    assert.deepEqual([live(controller), recordOf(controller).settings.instances], [3, 1]);
    await controller.stop();
  }
});
