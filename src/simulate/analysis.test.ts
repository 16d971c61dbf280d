import assert from "node:assert/strict";
import test from "node:test";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { rollback } from "../controller/rollback.ts";
import { changeRollout } from "../controller/rollout-requests.ts";
import { OperatorError } from "../errors/operator-error.ts";
import type { EventData } from "../ledger/event.ts";
import { releaseState } from "../ledger/state.ts";
import { defaultAnalysis, defaultMetric, type Analysis, type Metric } from "../model/analysis.ts";
import type { SetName } from "../model/names.ts";
import type { Strategy } from "../model/strategy.ts";
import { isReplayed } from "../rollout/decisions/decide.ts";
import { makeStory } from "./make-story.ts";
import { runStory } from "./run-story.ts";
import { asked, done, live, recordOf, request } from "./testing.ts";
import { createWorld, type World } from "./world.ts";

const two = "shop-production-v2" as SetName;
const canary = (analysis: Analysis, holdMs: number | null = 20_000): Strategy => ({
  kind: "canary",
  steps: [
    { weight: 1_000, holdMs, analyse: true },
    { weight: 5_000, holdMs: 5_000, analyse: true },
  ],
  analysis,
});
const metric = (change: Partial<Metric>): Analysis => ({
  metrics: [
    { ...defaultMetric, name: "check", provider: { kind: "command", command: ["check", "$release"] }, ...change },
  ],
});

/** Requests 100 times a second; a set answers one of so many with 500. */
function clients(
  world: World,
  failing: Readonly<Record<string, number>> = {},
): { stop: () => void; failed: Map<string, number> } {
  const asked = new Map<string, number>();
  const failed = new Map<string, number>();
  let stopped = false;
  const ask = (): void => {
    if (stopped) return;
    const open = world.router.request("shop", "/");
    if ("end" in open) {
      const count = (asked.get(open.set) ?? 0) + 1;
      asked.set(open.set, count);
      const fails = count % (failing[open.set] ?? Number.POSITIVE_INFINITY) === 0;
      if (fails) failed.set(open.set, (failed.get(open.set) ?? 0) + 1);
      open.end(fails ? 500 : 200, 5);
    }
    world.clock.after(10, ask);
  };
  ask();
  return { stop: () => (stopped = true), failed };
}

async function oneLive(): Promise<{ world: World; controller: Controller }> {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one", { instances: 2, watchMs: 0 })));
  await world.clock.advance(10_000);
  return { world, controller };
}

const begin = (controller: Controller, strategy: Strategy) => {
  const work = deploy(controller, request("two", { instances: 2, strategy, watchMs: 0 }));
  work.catch(() => {});
  return work;
};
const events = (world: World): readonly EventData[] => [...world.journal.read()].map(({ data }) => data);
const decisions = (world: World) =>
  events(world).flatMap((data) => (data.kind === "decision.made" && data.release === 2 ? data : []));
const verdicts = (world: World) =>
  decisions(world).flatMap(({ rule, outcome }) =>
    rule === "analysis" ? (outcome as { verdict: string }).verdict : rule === "strategy" ? [] : rule,
  );
const weightOf = (world: World): number =>
  world.router.rules()[0]?.canaries?.find(({ set }) => set === two)?.weight ?? 0;

/** Every decision of a world comes to the same when it is made again. */
function assertReplayed(world: World): void {
  for (const data of events(world))
    if (data.kind === "decision.made") assert.ok(isReplayed(data), `${data.rule}: ${data.sentence}`);
}

test("a canary that answers errors is taken out of traffic, ended and quarantined, with the numbers of its decision", async () => {
  const { world, controller } = await oneLive();
  const load = clients(world, { [two]: 20 });
  const work = begin(controller, canary(defaultAnalysis, 120_000));
  const error = await done(world, work, 300_000).then(
    () => assert.fail(),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OperatorError && /its analysis failed; errors: /.test(error.message), String(error));
  await world.clock.advance(1_000);
  assert.deepEqual([live(controller), weightOf(world)], [1, 0]);
  assert.ok((load.failed.get(two) ?? 0) <= 30, String(load.failed.get(two)));
  load.stop();
  const release = recordOf(controller).releases.get(2) ?? assert.fail();
  assert.equal(releaseState(release), "aborted");
  assert.equal(recordOf(controller).quarantined.size, 1);
  await assert.rejects(done(world, rollback(controller, { ...asked, to: 2 })), {
    code: "NO_ROLLBACK_TARGET",
    hint: /^it proved bad as v2; .*`bronze rollout allow v2` lets it be deployed again, then release it as a new one/,
  });
  assert.deepEqual(verdicts(world), ["baseline", "errors", "abort"]);
  assertReplayed(world);
  await controller.stop();
});

test("a canary that answers well goes live, and each step is a decision with what was measured", async () => {
  const { world, controller } = await oneLive();
  const load = clients(world, { [two]: 500, "shop-production-v1": 500 });
  await done(world, begin(controller, canary(defaultAnalysis)), 300_000);
  load.stop();
  assert.equal(live(controller), 2);
  assert.deepEqual(verdicts(world), ["baseline", "go on", "go on"]);
  assert.equal(decisions(world).filter(({ rule }) => rule === "strategy").length, 3);
  assertReplayed(world);
  await controller.stop();
});

test("without traffic a step takes longer, then a person is asked, whose word is enough; nothing is guessed", async () => {
  const { world, controller } = await oneLive();
  const work = begin(controller, canary(defaultAnalysis));
  await world.clock.advance(45_000);
  assert.deepEqual(verdicts(world), ["baseline", "extend", "extend"]);
  await world.clock.advance(20_000);
  const { progress } = recordOf(controller).releases.get(2) ?? assert.fail();
  assert.deepEqual([progress.step, progress.paused?.by], [1, "analysis"]);
  assert.match(progress.paused?.reason ?? "", /no request came, 20 are needed/);
  await world.clock.advance(3_600_000);
  await changeRollout(controller, { ...asked, action: "resume" });
  await world.clock.advance(5_000);
  assert.equal(recordOf(controller).releases.get(2)?.progress.step, 2);
  const load = clients(world);
  await done(world, work, 300_000);
  load.stop();
  assert.equal(live(controller), 2);
  assertReplayed(world);
  await controller.stop();
});

test("where what is live fails itself nothing is analysed, which is said: the fix can come", async () => {
  const { world, controller } = await oneLive();
  const load = clients(world, { "shop-production-v1": 2, [two]: 10 });
  await world.clock.advance(5_000);
  await done(world, begin(controller, canary(defaultAnalysis)), 300_000);
  load.stop();
  assert.equal(live(controller), 2);
  assert.deepEqual(verdicts(world), ["baseline"]);
  assert.match(decisions(world).find(({ rule }) => rule === "baseline")?.sentence ?? "", /nothing is analysed/);
  await controller.stop();
});

test("lost lines of the log are no zero errors: what cannot be measured pauses", async () => {
  const { world, controller } = await oneLive();
  const load = clients(world);
  const losing = (): void => {
    world.router.loseLog();
    world.clock.after(1_000, losing);
  };
  losing();
  begin(controller, canary(defaultAnalysis));
  await world.clock.advance(15_000);
  const { progress } = recordOf(controller).releases.get(2) ?? assert.fail();
  assert.deepEqual([progress.step, progress.paused?.by], [1, "analysis"]);
  assert.match(progress.paused?.reason ?? "", /lines of the router's log were lost/);
  load.stop();
  await controller.stop();
});

test("a metric from elsewhere: enough successful ones go on, a failed one ends it, errors in a row end it", async () => {
  for (const [answer, expected] of [
    [{ kind: "values", values: { status: 0 } }, "go on"],
    [{ kind: "values", values: { status: 1 } }, "abort"],
    [{ kind: "error", reason: "not there" }, "abort"],
  ] as const) {
    const { world, controller } = await oneLive();
    const queries: unknown[] = [];
    world.metrics.answer = (query) => (queries.push(query), answer);
    const success = { of: "status", is: "==", than: 0 } as const;
    begin(controller, canary(metric({ success, intervalMs: 2_000, count: 3 }), 1_000));
    await world.clock.advance(30_000);
    assert.equal(verdicts(world)[1], expected);
    assert.equal(live(controller), expected === "go on" ? 2 : 1);
    assert.deepEqual(queries[0], {
      kind: "command",
      command: ["check", "v2"],
      env: {
        BRONZE_APP: "shop",
        BRONZE_ENV: "production",
        BRONZE_RELEASE: "v2",
        BRONZE_SET: two,
        BRONZE_LIVE: "shop-production-v1",
      },
    });
    assertReplayed(world);
    await controller.stop();
  }
});

test("a canary that fails while a person is waited for is ended all the same", async () => {
  const { world, controller } = await oneLive();
  const load = clients(world, { [two]: 2 });
  begin(controller, canary(defaultAnalysis, null));
  await world.clock.advance(20_000);
  assert.equal(recordOf(controller).releases.get(2)?.rollout, "aborted");
  assert.equal(weightOf(world), 0);
  load.stop();
  await controller.stop();
});

test("a rolling rollout is analysed while it goes: what answers errors has no requests at once", async () => {
  const { world, controller } = await oneLive();
  const load = clients(world, { [two]: 3 });
  const strategy: Strategy = { kind: "rolling", maxSurge: 1, maxUnavailable: 0, analysis: defaultAnalysis };
  const work = deploy(controller, request("two", { instances: 6, strategy, watchMs: 0 }, { minReadyMs: 3_000 }));
  work.catch(() => {});
  await world.clock.advance(30_000);
  assert.equal(recordOf(controller).releases.get(2)?.rollout, "aborted");
  assert.deepEqual([live(controller), weightOf(world)], [1, 0]);
  assert.deepEqual(verdicts(world), ["baseline", "errors", "abort"]);
  load.stop();
  assertReplayed(world);
  await controller.stop();
});

test("a blue-green rollout is analysed before the switch by what needs no traffic", async () => {
  for (const status of [200, 503]) {
    const { world, controller } = await oneLive();
    world.metrics.answer = () => ({ kind: "values", values: { status } });
    const success = { of: "status", is: "in", from: 200, to: 299 } as const;
    const analysis = metric({
      success,
      provider: { kind: "http", url: "/check", json: null },
      count: 2,
      intervalMs: 1_000,
    });
    begin(controller, { kind: "blue-green", holdMs: 0, analysis });
    await world.clock.advance(30_000);
    assert.equal(live(controller), status === 200 ? 2 : 1);
    assertReplayed(world);
    await controller.stop();
  }
});

test("a daemon that is started again measures anew and keeps what was decided", async () => {
  const { world, controller } = await oneLive();
  const load = clients(world);
  begin(controller, canary(defaultAnalysis, 60_000));
  await world.clock.advance(30_000);
  await controller.stop();
  const next = await world.startController();
  await world.clock.advance(90_000);
  load.stop();
  assert.equal(live(next), 2);
  assert.deepEqual(verdicts(world), ["baseline", "go on", "go on"]);
  await next.stop();
});

test("a first deploy is not analysed", async () => {
  const world = createWorld();
  const controller = await world.startController(undefined, "boot");
  await done(world, deploy(controller, request("one", { strategy: canary(defaultAnalysis) })));
  assert.deepEqual(
    events(world).filter(({ kind }) => kind === "decision.made"),
    [],
  );
  await controller.stop();
});

test("every decision of the first seeds comes to the same when it is made again from the ledger", async (t) => {
  const rules = new Map<string, number>();
  for (let seed = 1; seed <= 4; seed += 1) {
    const { stage } = await runStory(makeStory(seed), { exactly: true });
    for (const { data } of stage.journal.read()) {
      if (data.kind !== "decision.made") continue;
      rules.set(data.rule, (rules.get(data.rule) ?? 0) + 1);
      assert.ok(isReplayed(data), `seed ${seed}, ${data.rule}: ${data.sentence}`);
    }
  }
  assert.ok(["strategy", "watch", "failure"].every((rule) => rules.has(rule)));
  t.diagnostic([...rules].map(([rule, count]) => `${count} ${rule}`).join(", "));
});
