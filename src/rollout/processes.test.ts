import assert from "node:assert/strict";
import test from "node:test";
import { defaultRunSettings, type WorkerSettings } from "../model/content.ts";
import { instanceName, type InstanceName, type ProcessName } from "../model/names.ts";
import { planEnvironment } from "./plan.ts";
import type { InstanceView } from "./view.ts";
import type { Step } from "./step.ts";
import { app, bare, contentOf, environment, instance, served, set, Story } from "./testing.ts";

const worker = "worker" as ProcessName;
const settings: WorkerSettings = {
  command: ["work"],
  resources: defaultRunSettings.resources,
  drainMs: 20_000,
};
const v1 = contentOf("one", { processes: { worker: settings } });
const v2 = contentOf("two", { processes: { worker: settings } });

const webOf = (release: number): InstanceView => instance(release, 1);
const workerOf = (release: number, ordinal = 1, change: Partial<InstanceView> = {}): InstanceView =>
  instance(release, ordinal, { process: worker, ...change });
const nameOf = (release: number, ordinal: number): InstanceName => instanceName(set(release), ordinal, worker);

function liveStory(): Story {
  return new Story().settings({ processes: { worker: 2 } }).deployed(1, v1);
}

/** A view of what runs, with web placed as the router would have it. */
function seen(live: number, ...instances: InstanceView[]) {
  const all = served(instances, set(live));
  const webs = instances.filter(({ process }) => process !== worker);
  return { ...all, placed: served(webs, set(live)).placed };
}

function told(story: Story, ordinals: readonly number[], release = 1): Story {
  return story.tell({
    kind: "instances.starting",
    app,
    environment,
    set: set(release),
    process: worker,
    count: ordinals.length,
    ordinals,
  });
}

const exited = (story: Story, instance: InstanceName): Story =>
  story.tell({ kind: "instance.exited", app, environment, instance, code: 1, outOfMemory: false });

test("planWorkers() starts the live set's workers, as many as the environment has, with ordinals of their own", () => {
  const story = liveStory();
  const ensure: Step = { kind: "ensure", set: set(1), process: worker, count: 2, ordinals: [1, 2], ending: [] };
  assert.deepEqual(planEnvironment(story.record, seen(1, webOf(1)), story.nowMs), [ensure]);
  assert.deepEqual(
    planEnvironment(story.record, seen(1, webOf(1), workerOf(1), workerOf(1, 2)), story.nowMs),
    [],
    "nothing more when they run",
  );
});

test("planWorkers() starts one of a process that nobody gave a number", () => {
  const story = new Story().settings({}).deployed(1, v1);
  const [step] = planEnvironment(story.record, seen(1, webOf(1)), story.nowMs);
  assert.deepEqual(step, { kind: "ensure", set: set(1), process: worker, count: 1, ordinals: [1], ending: [] });
});

test("planWorkers() starts none before the switch, and none counts for it", () => {
  const story = told(liveStory(), [1, 2]).create(2, v2);
  const old = [webOf(1), workerOf(1), workerOf(1, 2)];
  assert.deepEqual(planEnvironment(story.record, seen(1, ...old), story.nowMs), [
    { kind: "ensure", set: set(2), count: 1, ordinals: [1] },
  ]);
  assert.deepEqual(bare(planEnvironment(story.record, seen(1, ...old, webOf(2)), story.nowMs)), [
    { kind: "switch", release: 2, set: set(2) },
  ]);
});

test("planWorkers() ends the old workers and starts the new ones in the same plan, once another is live", () => {
  const story = told(liveStory(), [1, 2]).create(2, v2).goLive(2);
  const all = seen(2, webOf(1), workerOf(1), workerOf(1, 2), webOf(2));
  assert.deepEqual(planEnvironment(story.record, all, story.nowMs), [
    { kind: "condemn", instance: nameOf(1, 1), type: "idle", reason: "v2 is live" },
    { kind: "condemn", instance: nameOf(1, 2), type: "idle", reason: "v2 is live" },
    { kind: "ensure", set: set(2), process: worker, count: 2, ordinals: [1, 2], ending: [] },
  ]);
});

/** Condemns v1's two workers at the switch to v2. */
function switched(): Story {
  const story = told(told(liveStory(), [1, 2]).create(2, v2).goLive(2), [1, 2], 2);
  for (const ordinal of [1, 2])
    story.tell({
      kind: "instance.condemned",
      app,
      environment,
      instance: nameOf(1, ordinal),
      type: "idle",
      reason: "v2 is live",
    });
  return story;
}

test("planWorkers() gives a condemned worker its drain from then on, whichever daemon looks", () => {
  const story = switched();
  const switchedAtMs = story.nowMs;
  story.later(7_000);
  const all = seen(2, webOf(1), workerOf(1), workerOf(1, 2), webOf(2), workerOf(2), workerOf(2, 2));
  assert.deepEqual(
    planEnvironment(story.record, all, story.nowMs),
    [1, 2].map((ordinal) => ({
      kind: "end",
      set: set(1),
      instance: nameOf(1, ordinal),
      drainUntilMs: switchedAtMs + 20_000,
    })),
  );
});

test("planWorkers() gives a worker of what is live its drain too, when it drifted long after the switch", () => {
  const story = told(liveStory(), [1, 2]).later(100_000);
  const reason = "it drifted";
  story.tell({ kind: "instance.condemned", app, environment, instance: nameOf(1, 1), type: "drift", reason });
  const steps = planEnvironment(story.record, seen(1, webOf(1), workerOf(1), workerOf(1, 2)), story.nowMs);
  assert.deepEqual(steps, [
    { kind: "ensure", set: set(1), process: worker, count: 2, ordinals: [3], ending: [nameOf(1, 1)] },
    { kind: "end", set: set(1), instance: nameOf(1, 1), drainUntilMs: story.nowMs + 20_000 },
  ]);
});

test("planWorkers() starts a set's workers again when it comes back, beside those that still end", () => {
  const story = switched()
    .prove(2)
    .create(3, v1, { of: 1, set: set(1) })
    .goLive(3);
  const all = seen(1, webOf(1), workerOf(1), webOf(2));
  const steps = planEnvironment(story.record, all, story.nowMs);
  assert.deepEqual(
    steps.find(({ kind }) => kind === "ensure"),
    { kind: "ensure", set: set(1), process: worker, count: 2, ordinals: [3, 4], ending: [nameOf(1, 1)] },
  );
  assert.ok(steps.some((step) => step.kind === "end" && step.instance === nameOf(1, 1)));
});

test("planWorkers() replaces a worker that ended, with the known delays from the second time on", () => {
  const story = told(liveStory(), [1, 2]);
  exited(story, nameOf(1, 1));
  const gone = workerOf(1, 1, { phase: "exited", exit: { code: 1, outOfMemory: false, atMs: story.nowMs } });
  assert.deepEqual(planEnvironment(story.record, seen(1, webOf(1), gone, workerOf(1, 2)), story.nowMs), [
    { kind: "ensure", set: set(1), process: worker, count: 2, ordinals: [3], ending: [] },
    { kind: "end", set: set(1), instance: nameOf(1, 1), drainUntilMs: null },
  ]);
  exited(told(story, [3]), nameOf(1, 3));
  assert.deepEqual(planEnvironment(story.record, seen(1, webOf(1), workerOf(1, 2)), story.nowMs), []);
  assert.deepEqual(planEnvironment(story.record, seen(1, webOf(1), workerOf(1, 2)), story.later(1_000).nowMs), [
    { kind: "ensure", set: set(1), process: worker, count: 2, ordinals: [4], ending: [] },
  ]);
});

test("planWorkers() counts a worker's crashes apart from those of web", () => {
  const story = told(liveStory(), [1, 2]);
  for (let ordinal = 1; ordinal < 6; ordinal += 1) exited(told(story, [ordinal + 2]), nameOf(1, ordinal + 2));
  const steps = planEnvironment(story.record, seen(1), story.nowMs);
  assert.ok(steps.some((step) => step.kind === "ensure" && step.process === undefined));
  assert.ok(!steps.some((step) => step.kind === "ensure" && step.process === worker));
});

test("planWatch() takes a release back whose worker ends twice after the switch, however well web serves", () => {
  const story = told(told(liveStory(), [1, 2]).create(2, v2).goLive(2), [1, 2], 2);
  const all = seen(2, webOf(1), webOf(2), workerOf(2), workerOf(2, 2));
  const takesBack = (): boolean =>
    planEnvironment(story.record, all, story.nowMs).some(({ kind }) => kind === "take-back");
  exited(exited(story, nameOf(2, 1)), nameOf(2, 2));
  assert.ok(!takesBack(), "both at once are one end");
  exited(told(story, [3, 4], 2), nameOf(2, 3));
  assert.ok(takesBack());
});

test("planWatch() counts what could not be started like what ended", () => {
  const story = liveStory().create(2, v2).goLive(2);
  const fail = (ordinals: readonly number[]): Story =>
    told(story, ordinals, 2).tell({
      kind: "instances.failed",
      app,
      environment,
      set: set(2),
      process: worker,
      reason: "no such file",
    });
  fail([1, 2]);
  fail([3, 4]);
  const [step] = bare(planEnvironment(story.record, seen(2, webOf(1), webOf(2)), story.nowMs));
  assert.deepEqual(step, {
    kind: "take-back",
    release: 2,
    to: 1,
    figures: null,
    reason: "its worker keeps ending, 2 times since the switch: the last could not be started: no such file",
  });
});

test("planWatch() counts no end from before the switch: a set that comes back starts anew", () => {
  const story = told(liveStory(), [1, 2]);
  exited(story, nameOf(1, 1));
  exited(told(story, [3]), nameOf(1, 3));
  story.create(2, v2).goLive(2);
  story.create(3, v1, { set: set(1) }).goLive(3);
  const steps = planEnvironment(story.record, seen(1, webOf(1), webOf(2)), story.nowMs);
  assert.deepEqual(
    steps.map((step) => step.kind),
    ["ensure"],
  );
});

test("planWorkers() ends those too many, the ones that have not shown that they work first, then the newest", () => {
  const story = told(liveStory(), [1, 2, 3]);
  const fresh = workerOf(1, 1, { health: { ...workerOf(1).health, state: "starting" } });
  const steps = planEnvironment(story.record, seen(1, webOf(1), fresh, workerOf(1, 2), workerOf(1, 3)), story.nowMs);
  assert.deepEqual(steps, [
    { kind: "condemn", instance: nameOf(1, 1), type: "surplus", reason: "2 worker instances are wanted" },
  ]);
  const none = liveStory().settings({ processes: { worker: 0 } });
  assert.equal(planEnvironment(none.record, seen(1, webOf(1), workerOf(1), workerOf(1, 2)), none.nowMs).length, 2);
});

test("planWorkers() ends a set's workers at once when it is taken down, though a route still leads there", () => {
  const story = told(liveStory(), [1, 2]).tell({
    kind: "app.down",
    app,
    environment,
    cause: { who: "ada", why: "" },
  });
  const steps = planEnvironment(story.record, seen(1, webOf(1), workerOf(1)), story.nowMs);
  assert.deepEqual(steps[0], {
    kind: "end",
    set: set(1),
    instance: nameOf(1, 1),
    drainUntilMs: story.nowMs + 20_000,
  });
});

test("planWorkers() records the end of a condemned worker that is gone already", () => {
  const story = switched();
  const steps = planEnvironment(
    story.record,
    seen(2, webOf(1), workerOf(1, 2), webOf(2), workerOf(2), workerOf(2, 2)),
    story.nowMs,
  );
  assert.deepEqual(steps[0], { kind: "end", set: set(1), instance: nameOf(1, 1), drainUntilMs: null });
});
