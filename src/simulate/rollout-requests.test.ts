import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { changeRollout } from "../controller/rollout-requests.ts";
import type { RolloutRequest } from "../model/api/rollouts.ts";
import { weightsOf } from "../model/route-rule.ts";
import type { Strategy } from "../model/strategy.ts";
import { app, asked, done, environment, fails, live, recordOf, request } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const instances = 4;
const rolling: Strategy = { kind: "rolling", maxSurge: 1, maxUnavailable: 1 };
/** So long that a daemon which counts it anew is seen to. */
const run = { minReadyMs: 20_000 };

const change = (controller: Controller, action: RolloutRequest["action"]) =>
  changeRollout(controller, { ...asked, why: "a test", action });

/** v1 live, v2 on its way by a strategy until it has some requests. */
async function inTheMiddle(
  strategy: Strategy,
): Promise<{ world: World; controller: Controller; work: Promise<unknown> }> {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one", { instances, strategy }, run)));
  await world.clock.advance(61_000);
  const work = deploy(controller, request("two", { instances, strategy }, run));
  work.catch(() => {});
  await world.clock.until(() => (recordOf(controller).releases.get(2)?.progress.weight ?? 0) > 0, 120_000);
  await world.clock.advance(1_000);
  return { world, controller, work };
}

async function shares(world: World): Promise<string> {
  const [rule] = (await world.router.observe()).rules;
  return rule === undefined
    ? ""
    : weightsOf(rule)
        .map(({ set, weight }) => `${set} ${weight}`)
        .join(", ");
}

for (const [name, strategy] of [
  ["rolling", rolling],
  ["canary", { kind: "canary", steps: [{ weight: 2_500, holdMs: null, analyse: false }] }],
] as const) {
  test(`${name}: who has the requests stays so when a daemon starts that has not asked the instances yet`, async () => {
    const { world, controller } = await inTheMiddle(strategy);
    if (strategy.kind === "rolling") await done(world, change(controller, "pause"));
    await world.clock.advance(60_000);
    const before = await shares(world);
    assert.match(before, /^shop-production-v1 [1-9]\d+, shop-production-v2 [1-9]\d+$/);
    await controller.stop();
    const next = await world.startController();
    for (let looked = 0; looked < 60; looked += 1) {
      await world.clock.advance(500);
      assert.equal(await shares(world), before, `after ${looked / 2} s`);
    }
    await done(world, change(next, "complete"), 600_000);
    assert.equal(live(next), 2);
    await next.stop();
  });
}

test("changeRollout() pauses and resumes a rollout once; its deadline does not run meanwhile", async () => {
  const { world, controller, work } = await inTheMiddle(rolling);
  assert.equal((await done(world, change(controller, "resume"))).changed, false);
  assert.equal((await done(world, change(controller, "pause"))).changed, true);
  assert.equal((await done(world, change(controller, "pause"))).changed, false);
  const { progress, deadlineAtMs } = recordOf(controller).releases.get(2) ?? assert.fail();
  assert.equal(progress.paused?.reason, "a test");
  await world.clock.advance(3_600_000);
  assert.equal(recordOf(controller).releases.get(2)?.progress.step, progress.step);
  assert.equal((await done(world, change(controller, "resume"))).changed, true);
  assert.ok((recordOf(controller).releases.get(2)?.deadlineAtMs ?? 0) >= deadlineAtMs + 3_600_000);
  await done(world, work, 600_000);
  assert.equal(live(controller), 2);
  await fails(world, change(controller, "abort"), "NOT_FOUND");
  await controller.stop();
});

test("changeRollout() aborts: what is live comes to have all requests again, and whoever waited is told who did", async () => {
  const { world, controller, work } = await inTheMiddle(rolling);
  await done(world, change(controller, "abort"));
  const error = await fails(world, work, "ROLLOUT_FAILED");
  assert.match(error.message, /ada aborted it, a test/);
  assert.match(error.hint, /v1 grows whole again, what is ready of v2 serves until then/);
  await world.clock.advance(300_000);
  assert.equal(await shares(world), "shop-production-v1 10000");
  assert.equal(live(controller), 1);
  assert.equal(controller.fleet.all().filter(({ set }) => set === `${app}-${environment}-v1`).length, instances);
  await controller.stop();
});

test("changeRollout() lets no rollback stand still", async () => {
  const { world, controller } = await inTheMiddle(rolling);
  await done(world, change(controller, "complete"), 600_000);
  const work = rollback(controller, { ...asked, to: 1 });
  await world.clock.until(() => recordOf(controller).active === 3, 10_000);
  await fails(world, change(controller, "pause"), "USAGE");
  await done(world, work, 120_000);
  await controller.stop();
});
