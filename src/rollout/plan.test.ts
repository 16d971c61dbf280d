import assert from "node:assert/strict";
import test from "node:test";
import { startingHealth, type Health } from "./health.ts";
import { nextDeadlineMs, planEnvironment } from "./plan.ts";
import { app, bare, contentOf, environment, healthyNow, instance, served, set, Story, view } from "./testing.ts";

const v1 = contentOf("one");
const v2 = contentOf("two");

function liveStory(): Story {
  return new Story().settings({ instances: 2 }).deployed(1, v1);
}

const liveTwo = [instance(1, 1), instance(1, 2)];

test("planEnvironment() has nothing to do when what runs is what is wanted", () => {
  const story = liveStory();
  assert.deepEqual(planEnvironment(story.record, served(liveTwo, set(1)), story.nowMs), []);
});

test("planEnvironment() starts the missing instances of a new release with the next ordinals", () => {
  const story = liveStory().create(2, v2);
  const steps = planEnvironment(story.record, served(liveTwo, set(1)), story.nowMs);
  assert.deepEqual(steps, [{ kind: "ensure", set: set(2), count: 2, ordinals: [1, 2] }]);
});

test("planEnvironment() does not switch before all instances are healthy and placed", () => {
  const story = liveStory().create(2, v2);
  const next = [instance(2, 1), instance(2, 2, { health: startingHealth })];
  const steps = planEnvironment(story.record, served([...liveTwo, ...next], set(1)), story.nowMs);
  assert.ok(!steps.some(({ kind }) => kind === "switch"));
  const unplaced = view({
    instances: [...liveTwo, instance(2, 1), instance(2, 2)],
    placed: new Map([[set(1), liveTwo.map(({ name }) => name)]]),
    rules: served(liveTwo, set(1)).rules,
  });
  assert.deepEqual(planEnvironment(story.record, unplaced, story.nowMs), [
    { kind: "place", set: set(2), add: [instance(2, 1).name, instance(2, 2).name], remove: [] },
  ]);
});

test("planEnvironment() switches when all instances are healthy and placed", () => {
  const story = liveStory().create(2, v2);
  const steps = planEnvironment(
    story.record,
    served([...liveTwo, instance(2, 1), instance(2, 2)], set(1)),
    story.nowMs,
  );
  assert.deepEqual(bare(steps), [{ kind: "switch", release: 2, set: set(2) }]);
});

test("planEnvironment() fails a rollout at once when an instance ends before it was healthy", () => {
  const story = liveStory().create(2, v2);
  const gone = instance(2, 1, {
    phase: "exited",
    exit: { code: 1, outOfMemory: false, atMs: story.nowMs },
    health: startingHealth,
  });
  const steps = planEnvironment(
    story.record,
    served([...liveTwo, gone], set(1), { placed: served(liveTwo, null).placed }),
    story.nowMs,
  );
  assert.deepEqual(bare(steps)[0], { kind: "fail", release: 2, instance: gone.name, reason: "exited" });
});

test("planEnvironment() fails a rollout when an instance is not healthy by its deadline", () => {
  const story = liveStory().create(2, v2).later(30_000);
  const { placed } = served(liveTwo, null);
  const planFor = (health: Health) => {
    const slow = [instance(2, 1, { health }), instance(2, 2, { health })];
    return planEnvironment(story.record, served([...liveTwo, ...slow], set(1), { placed }), story.nowMs);
  };
  const { name } = instance(2, 1);
  const asked = { ...startingHealth, probes: 1, failures: 1 };
  assert.deepEqual(bare(planFor(asked))[0], { kind: "fail", release: 2, instance: name, reason: "unhealthy" });
  // A daemon that was away for longer than the deadline asks first.
  assert.deepEqual(planFor(startingHealth), []);
});

test("planEnvironment() finishes a switch that is in effect, whatever became of the instances", () => {
  const story = liveStory()
    .create(2, v2)
    .tell({ kind: "traffic.switching", app, environment, release: 2, set: set(2), from: set(1) });
  const broken = instance(2, 1, {
    phase: "exited",
    exit: { code: 1, outOfMemory: false, atMs: story.nowMs },
    health: startingHealth,
  });
  const steps = planEnvironment(story.record, served([...liveTwo, broken], set(2)), story.nowMs);
  assert.deepEqual(steps[0], { kind: "switch", release: 2, set: set(2) });
});

test("planEnvironment() keeps the replaced set warm, and ends it when its time is over", () => {
  const story = liveStory().create(2, v2).goLive(2).prove(2);
  const all = served([...liveTwo, instance(2, 1), instance(2, 2)], set(2));
  assert.deepEqual(planEnvironment(story.record, all, story.nowMs), []);
  story.later(story.record.settings.keepWarmMs);
  assert.deepEqual(planEnvironment(story.record, all, story.nowMs), [
    { kind: "retire", set: set(1), reason: "its time to be kept warm is over" },
  ]);
});

test("planEnvironment() never keeps the set warm that was rolled back from", () => {
  const story = liveStory()
    .create(2, v2)
    .goLive(2)
    .prove(2)
    .create(3, v1, { of: 1, set: set(1) })
    .goLive(3)
    .prove(3);
  const steps = planEnvironment(
    story.record,
    served([...liveTwo, instance(2, 1), instance(2, 2)], set(1)),
    story.nowMs,
  );
  assert.deepEqual(steps, [{ kind: "retire", set: set(2), reason: "it was rolled back from" }]);
});

test("planEnvironment() goes live from a warm set only on a fresh probe", () => {
  const story = liveStory()
    .create(2, v2)
    .goLive(2)
    .prove(2)
    .later(10_000)
    .create(3, v1, { of: 1, set: set(1) });
  const stale = [...liveTwo, instance(2, 1), instance(2, 2)];
  assert.deepEqual(planEnvironment(story.record, served(stale, set(2)), story.nowMs), []);
  const fresh = stale.map((one) => ({ ...one, health: healthyNow(story.nowMs - 500) }));
  assert.deepEqual(bare(planEnvironment(story.record, served(fresh, set(2)), story.nowMs)), [
    { kind: "switch", release: 3, set: set(1) },
  ]);
});

test("planEnvironment() takes a watched release back when the rule fires", () => {
  const story = liveStory().create(2, v2).goLive(2);
  const steps = planEnvironment(
    story.record,
    served([...liveTwo, instance(2, 1), instance(2, 2)], set(2), { recent: { requests: 100, errors: 40 } }),
    story.nowMs,
  );
  assert.equal(steps[0]?.kind, "take-back");
  assert.equal(steps[0]?.kind === "take-back" && steps[0].to, 1);
});

test("planEnvironment() only warns about a first release", () => {
  const story = new Story().settings({ instances: 2 }).create(1, v1).goLive(1);
  const steps = planEnvironment(
    story.record,
    served(liveTwo, set(1), { recent: { requests: 100, errors: 40 } }),
    story.nowMs,
  );
  assert.equal(steps[0]?.kind, "warn");
});

test("planEnvironment() takes a watched release back when all its instances fail their probes", () => {
  const story = liveStory().create(2, v2).goLive(2);
  const failing = { ...startingHealth, state: "unhealthy", failures: 3, unhealthySinceMs: story.nowMs } as const;
  const bad = [instance(2, 1, { health: failing }), instance(2, 2, { health: failing })];
  const steps = planEnvironment(story.record, served([...liveTwo, ...bad], set(2)), story.nowMs);
  assert.equal(steps[0]?.kind, "take-back");
});

test("planEnvironment() takes no watched release back to a content that proved bad itself", () => {
  const story = liveStory().deployed(2, v2).create(3, contentOf("three")).goLive(3);
  const digest = story.record.releases.get(2)?.digest ?? assert.fail();
  const bad = served([...liveTwo, instance(3, 1), instance(3, 2)], set(3), { recent: { requests: 100, errors: 40 } });
  const to = () => planEnvironment(story.record, bad, story.nowMs).find((step) => step.kind === "take-back")?.to;
  assert.equal(to(), 2);
  story.tell({ kind: "content.quarantined", app, environment, digest, release: 2, reason: "it failed" });
  assert.equal(to(), 1);
});

test("planEnvironment() proves a release when its watch ends", () => {
  const story = liveStory().create(2, v2).goLive(2).later(60_000);
  const steps = planEnvironment(
    story.record,
    served([...liveTwo, instance(2, 1), instance(2, 2)], set(2)),
    story.nowMs,
  );
  assert.deepEqual(bare(steps)[0], { kind: "prove", release: 2, reason: "watched" });
});

test("planEnvironment() replaces an instance that ended: at once, then after 1, 2, 4 s", () => {
  const story = liveStory();
  const delays: number[] = [];
  for (let generation = 1; generation <= 4; generation += 1) {
    const ordinal = generation;
    const gone = instance(1, ordinal, { phase: "exited", exit: { code: 1, outOfMemory: false, atMs: story.nowMs } });
    story.tell({ kind: "instances.starting", app, environment, set: set(1), count: 2, ordinals: [ordinal] });
    story.tell({ kind: "instance.exited", app, environment, instance: gone.name, code: 1, outOfMemory: false });
    let waited = 0;
    const other = instance(1, 100);
    while (
      !planEnvironment(story.record, served([other, gone], set(1)), story.nowMs + waited).some(
        ({ kind }) => kind === "ensure",
      )
    )
      waited += 500;
    delays.push(waited);
    story.later(waited);
  }
  assert.deepEqual(delays, [0, 1_000, 2_000, 4_000]);
});

test("planEnvironment() ends a condemned instance only when its replacement is in traffic", () => {
  const story = liveStory();
  story.tell({
    kind: "instance.condemned",
    app,
    environment,
    instance: instance(1, 2).name,
    type: "drift",
    reason: "entered",
  });
  const three = [...liveTwo, instance(1, 3)];
  const unplaced = served(three, set(1), { placed: served(liveTwo, null).placed });
  assert.deepEqual(
    planEnvironment(story.record, unplaced, story.nowMs).map(({ kind }) => kind),
    ["place"],
  );
});

test("planEnvironment() counts instances that ended together as one exit", () => {
  const story = liveStory().tell({
    kind: "instances.starting",
    app,
    environment,
    set: set(1),
    count: 4,
    ordinals: [1, 2, 3, 4],
  });
  for (const ordinal of [1, 2, 3, 4]) {
    story.tell({
      kind: "instance.exited",
      app,
      environment,
      instance: instance(1, ordinal).name,
      code: 137,
      outOfMemory: false,
    });
  }
  const steps = planEnvironment(
    story.record,
    served([], set(1), { placed: new Map([[set(1), [instance(1, 9).name]]]) }),
    story.nowMs,
  );
  assert.ok(steps.some(({ kind }) => kind === "ensure"));
});

test("planEnvironment() takes an instance out after 3 failed probes and replaces it 10 s later", () => {
  const story = liveStory();
  const failing = instance(1, 2, {
    health: { ...startingHealth, state: "unhealthy", failures: 3, unhealthySinceMs: story.nowMs },
  });
  const now = [instance(1, 1), failing];
  assert.deepEqual(planEnvironment(story.record, served(now, set(1)), story.nowMs), [
    { kind: "place", set: set(1), add: [], remove: [failing.name] },
  ]);
  const steps = planEnvironment(story.record, served(now, set(1)), story.nowMs + 10_000);
  assert.deepEqual(steps[0], {
    kind: "condemn",
    instance: failing.name,
    type: "unhealthy",
    reason: "it failed 3 probes in a row",
  });
});

test("planEnvironment() takes the place of one of which there is nothing any more", () => {
  const story = liveStory();
  const lost = instance(1, 7).name;
  const placed = new Map([[set(1), [...liveTwo.map(({ name }) => name), lost]]]);
  assert.deepEqual(planEnvironment(story.record, served(liveTwo, set(1), { placed }), story.nowMs), [
    { kind: "place", set: set(1), add: [], remove: [lost] },
  ]);
});

test("planEnvironment() leaves all in traffic when all fail, and replaces one at a time", () => {
  const story = liveStory();
  const health = {
    ...startingHealth,
    state: "unhealthy",
    failures: 30,
    unhealthySinceMs: story.nowMs - 20_000,
  } as const;
  const steps = planEnvironment(
    story.record,
    served([instance(1, 1, { health }), instance(1, 2, { health })], set(1)),
    story.nowMs,
  );
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ["condemn"],
  );
});

test("planEnvironment() replaces a drifted instance before it ends it", () => {
  const story = liveStory();
  story.tell({
    kind: "instance.condemned",
    app,
    environment,
    instance: instance(1, 2).name,
    type: "drift",
    reason: "entered",
  });
  const steps = planEnvironment(story.record, served(liveTwo, set(1)), story.nowMs);
  const ending = [instance(1, 2).name];
  assert.deepEqual(steps, [{ kind: "ensure", set: set(1), count: 2, ordinals: [1], ending }]);
  const three = [...liveTwo, instance(1, 3)];
  assert.deepEqual(
    planEnvironment(story.record, served(three, set(1)), story.nowMs).map((step) => [
      step.kind,
      step.kind === "end" ? step.instance : "",
    ]),
    [["end", instance(1, 2).name]],
  );
});

test("planEnvironment() ends surplus instances after a scale-down, the newest first", () => {
  const story = liveStory().settings({ instances: 1 });
  assert.deepEqual(planEnvironment(story.record, served(liveTwo, set(1)), story.nowMs)[0], {
    kind: "condemn",
    instance: instance(1, 2).name,
    type: "surplus",
    reason: "1 instance is wanted",
  });
});

test("planEnvironment() gives no traffic to a condemned instance that becomes healthy while it is being ended", () => {
  const story = liveStory();
  story.tell({
    kind: "instance.condemned",
    app,
    environment,
    instance: instance(1, 3).name,
    type: "surplus",
    reason: "2 instances are wanted",
  });
  const placed = served(liveTwo, null).placed;
  const starting = [...liveTwo, instance(1, 3, { health: startingHealth })];
  assert.deepEqual(
    planEnvironment(story.record, served(starting, set(1), { placed }), story.nowMs).map(({ kind }) => kind),
    ["end"],
  );
  const healthy = [...liveTwo, instance(1, 3)];
  assert.deepEqual(
    planEnvironment(story.record, served(healthy, set(1), { placed }), story.nowMs).map(({ kind }) => kind),
    ["end"],
  );
});

test("planEnvironment() takes the route away first when an app is taken down", () => {
  const story = liveStory().tell({ kind: "app.down", app, environment, cause: { who: "ada", why: "" } });
  assert.deepEqual(planEnvironment(story.record, served(liveTwo, set(1)), story.nowMs), [
    { kind: "route", route: { host: null, path: "/" }, rule: null },
  ]);
  assert.deepEqual(
    planEnvironment(story.record, served(liveTwo, null), story.nowMs).map(({ kind }) => kind),
    ["end", "end"],
  );
  assert.deepEqual(planEnvironment(story.record, view(), story.nowMs), [{ kind: "forget", set: set(1) }]);
});

test("planEnvironment() brings everything back when nothing runs, as after a reboot", () => {
  const story = liveStory();
  assert.deepEqual(planEnvironment(story.record, view(), story.nowMs), [
    { kind: "ensure", set: set(1), count: 2, ordinals: [1, 2] },
  ]);
  assert.deepEqual(planEnvironment(story.record, served(liveTwo, null), story.nowMs), [
    { kind: "route", route: { host: null, path: "/" }, rule: { route: { host: null, path: "/" }, stable: set(1) } },
  ]);
});

test("nextDeadlineMs() is the moment the watch ends, when nothing else is due before", () => {
  const story = liveStory().create(2, v2).goLive(2);
  const all = served([...liveTwo, instance(2, 1), instance(2, 2)], set(2));
  assert.equal(nextDeadlineMs(story.record, all, story.nowMs), story.nowMs + 60_000);
});
