import assert from "node:assert/strict";
import test from "node:test";
import { makeStory } from "../src/simulate/make-story.ts";
import { runStory } from "../src/simulate/run-story.ts";
import { parseTimings, timedSteps } from "../src/simulate/timings.ts";
import { recordTimings } from "../bench/lib/record-timings.ts";

test("recordTimings() takes the times of real drivers, and a simulated world takes such times", async () => {
  const timings = await recordTimings(2);
  for (const step of timedSteps) {
    assert.equal(timings.ms[step].length, step === "append" ? 30 : 2);
    assert.ok(timings.ms[step].every((ms) => ms > 0));
  }
  assert.deepEqual(parseTimings(JSON.stringify(timings)), timings);
  const { tally } = await runStory(makeStory(1), { timings, invariants: [] });
  assert.ok(tally.steps > 0);
});
