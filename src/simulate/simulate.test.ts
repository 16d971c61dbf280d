import assert from "node:assert/strict";
import test from "node:test";
import { verifyChain } from "../ledger/chain.ts";
import { bugs } from "./bugs/all.ts";
import { invariants } from "./invariants/all.ts";
import { keptStories } from "./kept/all.ts";
import { makeStory } from "./make-story.ts";
import { runStory } from "./run-story.ts";
import { shrink } from "./shrink.ts";

/** Seeds that every check runs; `npm run -s bench -- simulate --runs N` runs as many as it is told to. */
const firstSeeds = 12;

test("runStory() runs one seed the same way each time: two ledgers are equal byte by byte, and their chains hold", async () => {
  for (const seed of [1, 2]) {
    const ledgers: string[] = [];
    for (let time = 0; time < 2; time += 1) {
      const { stage } = await runStory(makeStory(seed), { exactly: true });
      const events = [...stage.journal.read()];
      assert.equal(verifyChain(events).damage, null);
      ledgers.push(events.map((event) => JSON.stringify(event)).join("\n"));
    }
    assert.ok((ledgers[0] ?? "").length > 10_000);
    assert.equal(ledgers[0], ledgers[1], `seed ${seed}`);
  }
});

test("every invariant holds in the first runs, each of which has enough in it", async (t) => {
  let steps = 0;
  for (let seed = 1; seed <= firstSeeds; seed += 1) {
    const { violation, tally } = await runStory(makeStory(seed));
    assert.equal(violation, null, `seed ${seed}: ${JSON.stringify(violation)}`);
    assert.ok(tally.steps >= 500 && tally.rollouts >= 3 && tally.faults >= 5, `seed ${seed}: ${JSON.stringify(tally)}`);
    steps += tally.steps;
  }
  t.diagnostic(`${firstSeeds} runs, ${Math.round(steps / firstSeeds)} steps each`);
});

for (const { name, breaks, seed, changes } of bugs) {
  test(`the bug ${name}, put in on purpose, is found by seed ${seed}: it breaks ${breaks}`, async () => {
    const { violation } = await runStory(makeStory(seed), { changes });
    assert.equal(violation?.invariant, breaks, JSON.stringify(violation));
  });
}

test("every invariant is broken by a bug that was put in on purpose", () => {
  const broken = new Set(bugs.map(({ breaks }) => breaks));
  assert.deepEqual(
    invariants.map(({ name }) => name).filter((name) => !broken.has(name)),
    [],
  );
});

test("shrink() cuts a story down to a few acts and faults that break the same invariant", async () => {
  const bug = bugs.find(({ name }) => name === "early-switch");
  assert.ok(bug !== undefined);
  const story = makeStory(bug.seed);
  const short = await shrink(story, bug.breaks, { changes: bug.changes });
  assert.ok(short.acts.length <= 3 && short.faults.length <= 2, JSON.stringify(short));
  const { violation } = await runStory(short, { changes: bug.changes, whole: true });
  assert.equal(violation?.invariant, bug.breaks);
});

for (const { found, story, timings } of keptStories) {
  test(`a story of seed ${story.seed} holds that once found: ${found}`, async () => {
    const { violation } = await runStory(story, { whole: true, ...(timings && { timings }) });
    assert.equal(violation, null, JSON.stringify(violation));
  });
}
