import assert from "node:assert/strict";
import test from "node:test";
import { makeStory } from "./make-story.ts";
import { runStory } from "./run-story.ts";
import { drawTimings, parseTimings, type Timings } from "./timings.ts";

const timings: Timings = {
  version: 1,
  ms: {
    start: [180.2, 210.5, 260],
    ready: [4, 9.5, 22],
    remove: [35, 48, 61],
    place: [3.1, 4.4, 160],
    route: [1.2, 1.9],
    append: [0.4, 0.7, 6],
  },
};

test("drawTimings() gives recorded times, all of them in time, and the same ones to the same seed", () => {
  const drawn = (seed: number): number[] => {
    const draw = drawTimings(timings, seed);
    return Array.from({ length: 60 }, () => draw("start"));
  };
  assert.deepEqual(drawn(7), drawn(7));
  assert.notDeepEqual(drawn(7), drawn(8));
  assert.deepEqual(new Set(drawn(7)), new Set(timings.ms.start.map(Math.ceil)));
});

test("parseTimings() refuses what is none, lacks a step, or goes beyond the bounds", () => {
  assert.deepEqual(parseTimings(JSON.stringify(timings)), timings);
  const changed = (ms: object): string => JSON.stringify({ version: 1, ms: { ...timings.ms, ...ms } });
  for (const text of [
    "{",
    "{}",
    changed({ start: [] }),
    changed({ start: undefined }),
    changed({ start: [-1] }),
    changed({ start: [60_001] }),
    changed({ start: Array.from({ length: 201 }, () => 1) }),
    changed({ probe: [1] }),
    JSON.stringify({ ...timings, note: "x".repeat(70_000) }),
  ])
    assert.throws(() => parseTimings(text), { code: "ARGUMENT_INVALID" }, text.slice(0, 80));
});

test("runStory() with timings of a real run holds every invariant, takes such times, and runs the same way each time", async () => {
  for (const seed of [1, 2, 3, 4]) {
    const ledgers: string[] = [];
    for (let time = 0; time < 2; time += 1) {
      const { stage, violation } = await runStory(makeStory(seed), { timings });
      assert.equal(violation, null, `seed ${seed}: ${JSON.stringify(violation)}`);
      ledgers.push([...stage.journal.read()].map((event) => JSON.stringify(event)).join("\n"));
    }
    assert.equal(ledgers[0], ledgers[1], `seed ${seed}`);
    const { stage } = await runStory(makeStory(seed));
    const without = [...stage.journal.read()].map((event) => JSON.stringify(event)).join("\n");
    assert.notEqual(ledgers[0], without);
  }
});
