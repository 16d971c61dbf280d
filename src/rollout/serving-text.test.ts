import assert from "node:assert/strict";
import test from "node:test";
import { servingText } from "./serving-text.ts";
import { app, contentOf, environment, instance, set, Story } from "./testing.ts";

const failure = { code: "ROLLOUT_FAILED", summary: "", hint: "", evidence: [] } as const;

test("servingText() tells what serves when a rollout ends: what is live, and what is ready of a rolling one", () => {
  const story = new Story().settings({ instances: 4 });
  assert.equal(servingText(story.record), "no release serves");
  story.deployed(1, contentOf("one")).create(2, contentOf("two"));
  assert.equal(servingText(story.record), "all traffic is still on v1");
  story.tell({
    kind: "rollout.stepped",
    app,
    environment,
    release: 2,
    step: 1,
    weight: 0,
    reason: "",
    counts: [
      { set: set(1), count: 3 },
      { set: set(2), count: 2 },
    ],
    instances: 4,
  });
  assert.equal(servingText(story.record), "all traffic is still on v1", "none of them is ready");
  story.tell({ kind: "instance.healthy", app, environment, instance: instance(2, 1).name, afterMs: 10 });
  assert.equal(servingText(story.record), "v1 grows whole again, what is ready of v2 serves until then");
  assert.equal(servingText(story.record, true), "all traffic is still on v1", "nothing of what is bad serves on");
  story.tell({ kind: "rollout.aborted", app, environment, release: 2, failure, leaving: true });
  assert.equal(servingText(story.record), "v1 grows whole again, what is ready of v2 serves until then");
});
