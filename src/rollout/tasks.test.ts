import assert from "node:assert/strict";
import test from "node:test";
import { contentDigest, type Content, type ReleaseTask } from "../model/content.ts";
import { instanceName, type InstanceName, type ProcessName } from "../model/names.ts";
import { planEnvironment } from "./plan.ts";
import { stepKey } from "./step.ts";
import { isIrreversible, planPreparation, planTasks, taskDeadlines } from "./tasks.ts";
import { app, contentOf, environment, instance, served, set, Story, view } from "./testing.ts";
import type { InstanceView } from "./view.ts";

const migrate: ReleaseTask = { run: ["migrate"], reversible: true, deadlineMs: 60_000 };
const withRelease = (text: string, release: ReleaseTask = migrate): Content => {
  const plain = contentOf(text);
  return { ...plain, settings: { ...plain.settings, release } };
};
const process = "release" as ProcessName;
const nameOf = (release: number, ordinal = 1): InstanceName => instanceName(set(release), ordinal, process);

/** v1 is live, v2 is on its way with a release command. */
function begun(content = withRelease("two")): Story {
  return new Story().settings({}).deployed(1, contentOf("one")).create(2, content);
}

function started(story: Story, release = 2): Story {
  const place = { app, environment, release };
  const command = ["migrate"];
  const instanceOf = nameOf(release);
  return story.tell(
    {
      kind: "task.started",
      ...place,
      process,
      ordinal: 1,
      instance: instanceOf,
      index: 0,
      command,
      deadlineMs: 60_000,
    },
    { kind: "task.running", app, environment, instance: instanceOf },
  );
}

const seen = (change: Partial<InstanceView> = {}, release = 2): InstanceView =>
  instance(release, 1, { name: nameOf(release), process, ...change });
const exit = { code: 0, outOfMemory: false, atMs: 1_000_000 };

test("planEnvironment() starts the release command first, and no instance before it has ended", () => {
  const story = begun();
  const now = view({ ...served([instance(1, 1)], set(1)) });
  const kinds = planEnvironment(story.record, now, story.nowMs).map(({ kind }) => kind);
  assert.deepEqual(kinds, ["start-task"]);
  assert.deepEqual(planEnvironment(started(story).record, { ...now, tasks: [seen()] }, story.nowMs), []);
  story.tell({
    kind: "task.ended",
    app,
    environment,
    release: 2,
    process,
    instance: nameOf(2),
    how: "exited",
    code: 0,
    elapsedMs: 5,
    output: [],
  });
  assert.deepEqual(
    planEnvironment(story.record, now, story.nowMs).map(({ kind }) => kind),
    ["ensure"],
  );
});

test("planPreparation() begins nothing while a task of another rollout of the environment runs", () => {
  const story = started(begun()).create(3, withRelease("three"));
  const release = story.record.releases.get(3);
  assert.ok(release);
  assert.deepEqual(planPreparation(story.record, release, { tasks: [seen()] }), [], "it is not ended");
  const ended = { ...view(), tasks: [seen({ phase: "exited", exit })] };
  assert.deepEqual(planPreparation(story.record, release, ended), [], "its end is not recorded");
  assert.deepEqual(
    planTasks(story.record, { tasks: [seen()] }, story.nowMs).map((step) => step.kind === "finish-task" && step.how),
    ["stopped"],
  );
});

for (const [what, change, later, wanted] of [
  ["runs", {}, 0, []],
  ["runs beyond its time", {}, 60_000, ["timed out"]],
  ["has exited", { phase: "exited", exit }, 0, ["exited"]],
  ["has exited, late", { phase: "exited", exit }, 90_000, ["exited"]],
  ["is gone, and nobody saw how", undefined, 0, ["lost"]],
  ["is broken", { phase: "broken" }, 0, ["lost"]],
] as const) {
  test(`planTasks() of a task that ${what}`, () => {
    const story = started(begun()).later(later);
    const tasks = change === undefined ? [] : [seen(change)];
    const steps = planTasks(story.record, { tasks }, story.nowMs);
    assert.deepEqual(
      steps.map((step) => (step.kind === "finish-task" ? step.how : step.kind)),
      wanted,
    );
    assert.deepEqual(planTasks(story.record, { tasks }, story.nowMs), steps, "equal input, equal plan");
    assert.ok(taskDeadlines(story.record).every((moment) => moment === 1_060_000));
  });
}

test("planTasks() starts what was recorded and never had a process, under the key of its first start", () => {
  const story = begun();
  const [first] = planEnvironment(story.record, view(), story.nowMs).filter(({ kind }) => kind === "start-task");
  assert.ok(first?.kind === "start-task");
  const { release, index, command, deadlineMs } = first;
  const name = first.instance;
  story
    .tell({
      kind: "task.started",
      app,
      environment,
      release,
      process,
      ordinal: 1,
      instance: name,
      index,
      command,
      deadlineMs,
    })
    .later(3_600_000);
  const again = planTasks(story.record, view(), story.nowMs);
  assert.deepEqual(again, [first], "no time has passed for it");
  assert.deepEqual(again.map(stepKey), [stepKey(first)]);
});

test("planTasks() clears what has no open record, and loses what was under way when the machine started anew", () => {
  const story = begun().tell({ kind: "daemon.started", version: "1", pid: 1, boot: { id: "a", upMs: 1 } });
  assert.deepEqual(planTasks(story.record, { tasks: [seen()] }, story.nowMs), [
    { kind: "clear-task", instance: nameOf(2) },
  ]);
  started(story).tell({ kind: "daemon.started", version: "1", pid: 2, boot: { id: "b", upMs: 1 } });
  const steps = planTasks(story.record, view(), story.nowMs);
  assert.deepEqual(
    steps.map((step) => step.kind === "finish-task" && step.how),
    ["lost"],
  );
});

test("isIrreversible() is about a command that ran, and ended well", () => {
  const content = withRelease("two", { ...migrate, reversible: false });
  const story = started(begun(content));
  const release = story.record.releases.get(2);
  assert.ok(release);
  assert.equal(release.digest, contentDigest(content));
  assert.equal(isIrreversible(release), false);
  const ended = {
    kind: "task.ended",
    app,
    environment,
    release: 2,
    process,
    instance: nameOf(2),
    elapsedMs: 5,
  } as const;
  story.tell({ ...ended, how: "exited", code: 0, output: [] });
  assert.equal(isIrreversible(release), true);
});
