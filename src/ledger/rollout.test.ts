import assert from "node:assert/strict";
import test from "node:test";
import { defaultEnvironmentSettings } from "../model/content.ts";
import { app, cause, contentOf, environment, set, Story } from "../rollout/testing.ts";
import { describeEvent } from "./describe.ts";
import type { EventData } from "./event.ts";
import { releaseState } from "./state.ts";

const inIt = { app, environment };

test("applyEvent() reads settings of earlier versions, whose strategy was a word", () => {
  const written = { ...defaultEnvironmentSettings, strategy: "blue-green" as const };
  const story = new Story().tell({ kind: "environment.changed", ...inIt, settings: written, cause });
  assert.deepEqual(story.record.settings, defaultEnvironmentSettings);
});

test("applyEvent() counts neither a rollout's deadline nor its step while it is paused", () => {
  const story = new Story().settings({}).deployed(1, contentOf("one")).create(2, contentOf("two"));
  const release = story.record.releases.get(2);
  assert.ok(release);
  const before = release.deadlineAtMs;
  story.tell({ kind: "rollout.stepped", ...inIt, release: 2, step: 1, weight: 500, reason: "ready" });
  const sinceMs = story.nowMs;
  story.later(1_000).tell({ kind: "rollout.paused", ...inIt, release: 2, by: "person", reason: "lunch", cause });
  assert.equal(releaseState(release), "paused");
  story.later(60_000).tell({ kind: "rollout.resumed", ...inIt, release: 2, cause });
  assert.deepEqual([releaseState(release), release.deadlineAtMs - before], ["progressing", 60_000]);
  assert.deepEqual(release.progress, {
    step: 1,
    weight: 500,
    sinceMs: sinceMs + 60_000,
    paused: null,
    hurried: false,
    analysis: null,
    extended: 0,
    cleared: 1,
    instances: null,
  });
});

test("applyEvent() lets a quarantine end with a newer deploy that goes live, or by a person", () => {
  const [bad, worse] = [contentOf("bad"), contentOf("worse")];
  const story = new Story().settings({}).deployed(1, contentOf("one")).create(2, bad);
  const digestOf = (number: number) => story.record.releases.get(number)?.digest ?? assert.fail();
  const quarantine = (release: number): EventData => ({
    kind: "content.quarantined",
    ...inIt,
    digest: digestOf(release),
    release,
    reason: "it failed",
  });
  story.tell(quarantine(2)).create(3, worse).tell(quarantine(3));
  assert.equal(story.record.quarantined.size, 2);
  story.tell({ kind: "content.allowed", ...inIt, digest: digestOf(3), cause });
  assert.deepEqual([...story.record.quarantined.keys()], [digestOf(2)]);
  story.deployed(4, contentOf("four"));
  assert.equal(story.record.quarantined.size, 0);
});

test("applyEvent() lets what a rolling rollout brought serve on when it is ended, until something else is live", () => {
  const story = new Story().settings({ instances: 2 }).deployed(1, contentOf("one")).create(2, contentOf("two"));
  const counts = [
    { set: set(1), count: 1 },
    { set: set(2), count: 1 },
  ];
  story.tell({ kind: "rollout.stepped", ...inIt, release: 2, step: 1, weight: 0, reason: "", counts, instances: 2 });
  const failure = { code: "ROLLOUT_FAILED" as const, summary: "", hint: "", evidence: [] };
  story.tell({ kind: "rollout.aborted", ...inIt, release: 2, failure, leaving: true });
  const roles = () => [...story.record.sets.values()].map(({ role, count }) => [role, count]);
  assert.deepEqual(roles(), [
    ["live", null],
    ["leaving", null],
  ]);
  story.create(3, contentOf("three")).goLive(3);
  assert.deepEqual(roles(), [
    ["warm", null],
    ["ending", null],
    ["live", null],
  ]);
});

test("applyEvent() keeps nothing warm of what was used up by a rolling rollout", () => {
  const story = new Story().settings({ instances: 2 }).deployed(1, contentOf("one")).create(2, contentOf("two"));
  const counts = [
    { set: set(1), count: 0 },
    { set: set(2), count: 2 },
  ];
  story.tell({ kind: "rollout.stepped", ...inIt, release: 2, step: 1, weight: 0, reason: "", counts, instances: 2 });
  story.goLive(2);
  assert.deepEqual(
    [...story.record.sets.values()].map(({ role, count }) => [role, count]),
    [
      ["ending", 0],
      ["live", null],
    ],
  );
});

test("describeEvent() tells of steps, pauses and quarantines in plain words", () => {
  const told = (data: EventData): string => describeEvent(data);
  assert.equal(
    told({ kind: "rollout.stepped", ...inIt, release: 2, step: 1, weight: 525, reason: "1 of 1 ready" }),
    "v2 at step 1, 5.25 % of the requests: 1 of 1 ready",
  );
  assert.equal(
    told({ kind: "rollout.paused", ...inIt, release: 2, by: "person", reason: "lunch", cause }),
    "v2 paused by ada: lunch",
  );
  assert.equal(
    told({ kind: "rollout.hurried", ...inIt, release: 2, cause }),
    "v2 goes live as soon as it is ready, without its remaining steps, as ada asked",
  );
});
