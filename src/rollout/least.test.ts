import assert from "node:assert/strict";
import test from "node:test";
import type { Amount } from "../model/strategy.ts";
import { startingHealth } from "./health.ts";
import { planEnvironment } from "./plan.ts";
import type { Step } from "./step.ts";
import { planTargets } from "./targets.ts";
import { app, contentOf, environment, instance, served, set, Story } from "./testing.ts";
import type { InstanceView } from "./view.ts";

/** Tests of who may leave while several sets serve: never more than leave enough. */

const rolling = (maxSurge: Amount, maxUnavailable: Amount) => ({
  strategy: { kind: "rolling", maxSurge, maxUnavailable } as const,
});

/** v1 is live, v2 on its way a few instances at a time, and has come as far as these numbers. */
function midway(counts: readonly [number, number], instances = 4): Story {
  const story = new Story()
    .settings({ instances, ...rolling(1, 1) })
    .deployed(1, contentOf("one"))
    .create(2, contentOf("two"));
  return stepped(story, 2, counts, instances);
}

function stepped(story: Story, release: number, counts: readonly number[], instances: number): Story {
  return story.tell({
    kind: "rollout.stepped",
    app,
    environment,
    release,
    step: 1,
    weight: 0,
    reason: "",
    counts: counts.map((count, index) => ({ set: set(index + 1), count })),
    instances,
  });
}

function condemn(story: Story, { name }: InstanceView, type: "surplus" | "drift"): Story {
  return story.tell({ kind: "instance.condemned", app, environment, instance: name, type, reason: "" });
}

/** As after a rollout that was ended: what it had started serves on. */
function ended(story: Story, release: number): Story {
  const failure = { code: "ROLLOUT_SUPERSEDED", summary: "", hint: "", evidence: [] } as const;
  return story.tell({ kind: "rollout.aborted", app, environment, release, failure, leaving: true });
}

const plan = (story: Story, instances: readonly InstanceView[], change = {}): readonly Step[] =>
  planEnvironment(story.record, served(instances, set(1), change), story.nowMs);

const endsOf = (steps: readonly Step[]): readonly string[] =>
  steps.flatMap((step) => (step.kind === "end" && step.drainUntilMs !== null ? step.instance : []));

test("planEnvironment() keeps an instance that is to end while others have ended in whose stead it is needed", () => {
  const going = instance(1, 3);
  const story = condemn(midway([2, 2]), going, "surplus");
  for (const ordinal of [1, 2])
    story.tell({ kind: "instance.healthy", app, environment, instance: instance(2, ordinal).name, afterMs: 5 });
  const rules = [{ route: { host: null, path: "/" }, stable: set(1), canaries: [{ set: set(2), weight: 5_000 }] }];
  const whole = [instance(1, 1), instance(1, 2), going, instance(2, 1), instance(2, 2)];
  assert.deepEqual(endsOf(plan(story, whole, { rules })), [going.name]);
  const exit = { code: 1, outOfMemory: false, atMs: story.nowMs };
  const short = whole.map((one) =>
    [instance(2, 1).name, instance(2, 2).name].includes(one.name)
      ? { ...one, phase: "exited" as const, address: null, exit }
      : one,
  );
  const alone = [{ route: { host: null, path: "/" }, stable: set(1), canaries: [{ set: set(2), weight: 0 }] }];
  assert.deepEqual(endsOf(plan(story, short, { rules: alone })), []);
});

test("planEnvironment() lets those go first that have no place, then those that are not ready for long enough", () => {
  const story = new Story()
    .settings({ instances: 1 })
    .deployed(1, contentOf("one", { minReadyMs: 5_000 }))
    .later(6_000);
  const [unplaced, young, old] = [instance(1, 1), instance(1, 2, lately(story)), instance(1, 3)];
  const placed = new Map([[set(1), [young.name, old.name]]]);
  const condemned = plan(story, [unplaced, young, old], { placed }).flatMap((step) =>
    step.kind === "condemn" ? step.instance : [],
  );
  assert.deepEqual(condemned, [unplaced.name, young.name]);
});

test("planEnvironment() lets requests wait no longer than until a set serves that has a share", () => {
  const story = midway([0, 2]);
  const rules = [{ route: { host: null, path: "/" }, stable: set(1), hold: true }];
  const waiting = plan(story, [instance(2, 1, { health: startingHealth })], { placed: new Map(), rules });
  assert.ok(!waiting.some(({ kind }) => kind === "route"));
  const [step] = plan(story, [instance(2, 1)], { rules }).filter(({ kind }) => kind === "route");
  assert.deepEqual(step?.kind === "route" ? step.rule?.canaries : null, [{ set: set(2), weight: 10_000 }]);
  assert.equal(step?.kind === "route" ? step.rule?.hold : true, undefined);
});

function lately({ nowMs }: Story): Partial<InstanceView> {
  return { health: { ...instance(1, 1).health, healthySinceMs: nowMs - 100 } };
}

test("planEnvironment() ends nothing of what an ended rollout left while what is live is not back", () => {
  const left = instance(2, 1);
  const story = condemn(ended(midway([2, 2]), 2), left, "drift");
  const short = [instance(1, 1), left];
  assert.ok(!plan(story, short).some(({ kind }) => kind === "retire" || kind === "end"));
  const whole = [1, 2, 3, 4].map((ordinal) => instance(1, ordinal));
  assert.deepEqual(
    plan(story, [...whole, left]).filter(({ kind }) => kind === "retire"),
    [{ kind: "retire", set: set(2), reason: "what is live is whole again" }],
  );
});

test("planEnvironment() gives up what an ended rollout left when no request comes to it any more, and it is not needed again", () => {
  const left = instance(2, 1);
  const story = ended(midway([2, 2]), 2);
  const whole = [1, 2, 3, 4].map((ordinal) => instance(1, ordinal));
  const rules = [{ route: { host: null, path: "/" }, stable: set(1), canaries: [{ set: set(2), weight: 2_000 }] }];
  const steps = plan(story, [...whole, left], { rules });
  const rule = { route: { host: null, path: "/" }, stable: set(1) };
  assert.deepEqual(steps, [{ kind: "route", route: rule.route, rule }]);
  // The router refused, and meanwhile one of what is live ended.
  const short = plan(story, [...whole.slice(0, 2), left], { rules });
  assert.deepEqual(
    short.flatMap((step) => (step.kind === "route" ? (step.rule?.canaries ?? []) : [])),
    [{ set: set(2), weight: 3_333 }],
  );
  assert.ok(!short.some(({ kind }) => kind === "retire" || kind === "condemn"));
});

test("planEnvironment() drains nobody while the router may still bring another rule into effect", () => {
  const going = instance(1, 3);
  const story = condemn(midway([2, 2]), going, "surplus");
  const rules = [{ route: { host: null, path: "/" }, stable: set(1), canaries: [{ set: set(2), weight: 5_000 }] }];
  const whole = [instance(1, 1), instance(1, 2), going, instance(2, 1), instance(2, 2)];
  for (const { name } of whole.slice(3))
    story.tell({ kind: "instance.healthy", app, environment, instance: name, afterMs: 5 });
  assert.deepEqual(endsOf(plan(story, whole, { rules })), [going.name]);
  const issued = { route: { host: null, path: "/" }, stable: set(1) };
  assert.deepEqual(endsOf(plan(story, whole, { rules: [...rules, issued] })), []);
});

test("planTargets() gives what is drained no share, and what it leaves behind all of it", () => {
  const going = [instance(1, 1), instance(1, 2)];
  const story = midway([0, 2]);
  for (const one of going) condemn(story, one, "surplus");
  ended(story, 2);
  const seen = [...going, instance(2, 1), instance(2, 2)];
  const drained = new Set(going.map(({ name }) => name));
  const weightsWith = (change: object): readonly (number | undefined)[] => {
    const { weights } = planTargets(story.record, served(seen, set(1), change), story.nowMs);
    return [weights?.get(set(1)), weights?.get(set(2))];
  };
  assert.deepEqual(weightsWith({}), [5_000, 5_000]);
  assert.deepEqual(weightsWith({ drained }), [0, 10_000]);
  assert.deepEqual(endsOf(plan(story, seen, { drained })), [...drained]);
});

test("planTargets() counts on what is to be replaced and answers until then, also when a rollout by steps begins", () => {
  const going = instance(1, 1);
  const story = condemn(ended(midway([1, 1]), 2), going, "drift");
  story.create(3, contentOf("three"), {});
  const held = { ...story.record.settings, strategy: { kind: "blue-green", holdMs: 1_000 } as const };
  story.tell({ kind: "environment.changed", app, environment, settings: held, cause: { who: "ada", why: "" } });
  const targets = planTargets(story.record, served([going, instance(2, 1)], set(1)), story.nowMs);
  assert.equal(targets.weights?.get(set(1)), 5_000);
});

test("planTargets() keeps as many as the rollout promises that waits for what is live to be whole", () => {
  const instances = [instance(1, 1), instance(1, 2), ...[2, 3, 4].map((release) => instance(release, 1))];
  const leftBy = (strategy: ReturnType<typeof rolling>): number => {
    // Three rollouts were ended one after the other: a fourth has to wait.
    const story = midway([4, 1], 5);
    for (const release of [3, 4]) {
      ended(story, release - 1).create(release, contentOf(`content ${release}`));
      stepped(story, release, [2, 1, ...Array.from({ length: release - 2 }, () => 1)], 5);
    }
    ended(story, 4).create(5, contentOf("five"));
    const { record } = story;
    record.settings = { ...record.settings, ...rolling(1, 2) };
    const release = record.releases.get(5);
    assert.ok(release !== undefined);
    release.settings = { ...record.settings, ...strategy };
    const { counts } = planTargets(record, served(instances, set(1)), story.nowMs);
    return [2, 3, 4].reduce((sum, one) => sum + (counts.get(set(one)) ?? 1), 2);
  };
  assert.equal(leftBy(rolling(1, 2)), 3);
  assert.equal(leftBy(rolling(1, 1)), 4);
});
