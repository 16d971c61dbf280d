import assert from "node:assert/strict";
import test from "node:test";
import { deploy } from "../controller/deploy.ts";
import { planDeploy } from "../controller/plan-deploy.ts";
import { strategyNamed, type Strategy } from "../model/strategy.ts";
import { digestOf, done, fails, recordOf, request } from "./testing.ts";
import { createWorld } from "./world.ts";

test("planDeploy() tells what a deploy would do, changes nothing, and the deploy does it", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  // Nobody asks for anything here: an analysis could not tell.
  const steps = [500, 2_500, 5_000].map((weight) => ({ weight, holdMs: 120_000, analyse: false }));
  const strategy: Strategy = { kind: "canary", steps };
  const one = request("one", { instances: 4, strategy });
  const before = [...world.journal.read()].length;
  const first = await done(world, planDeploy(controller, one));
  assert.deepEqual([first.way, first.release, first.live], ["first", 1, null]);
  assert.equal([...world.journal.read()].length, before);
  await done(world, deploy(controller, one));
  await world.clock.advance(61_000);
  assert.equal((await done(world, planDeploy(controller, one))).way, "none");

  const two = request("two", { instances: 4, strategy });
  const plan = await done(world, planDeploy(controller, two));
  assert.deepEqual([plan.way, plan.release, plan.live, plan.strategy], ["steps", 2, 1, "canary"]);
  assert.deepEqual(
    plan.steps.map(({ step, coming, weight }) => [step, coming, weight]),
    [
      [1, 1, 500],
      [2, 1, 2_500],
      [3, 2, 5_000],
      [null, 4, 10_000],
    ],
  );
  await done(world, deploy(controller, two), 900_000);
  const stepped = [...world.journal.read()].flatMap(({ data }) => (data.kind === "rollout.stepped" ? [data] : []));
  assert.deepEqual(
    stepped.map(({ step, weight }) => [step, weight]),
    plan.steps.slice(0, -1).map(({ step, weight }) => [step, weight]),
  );
  assert.equal(recordOf(controller).live?.release, plan.release);

  const digest = digestOf("bad");
  const { app, environment } = two;
  controller.recorder.append({ kind: "content.quarantined", app, environment, digest, release: 2, reason: "a test" });
  await fails(world, planDeploy(controller, request("bad", { instances: 4, strategy })), "CONTENT_QUARANTINED");

  const unrouted = request("three", { instances: 4, strategy, route: null });
  const { strategy: other, because } = await done(world, planDeploy(controller, unrouted));
  assert.deepEqual([other, because], ["blue-green", "without a route there are no requests to share out"]);
  const recreate = request("three", { instances: 4, strategy: strategyNamed("recreate") });
  assert.equal((await done(world, planDeploy(controller, recreate))).way, "stop-first");
  await controller.stop();
});
