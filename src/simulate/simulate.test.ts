import assert from "node:assert/strict";
import test from "node:test";
import { verifyChain } from "../ledger/chain.ts";
import { makeStory } from "./make-story.ts";
import { runStory } from "./run-story.ts";
import { kept } from "./kept-seeds.ts";

test("runStory() runs one seed the same way each time: two ledgers are equal byte by byte, and their chains hold", async () => {
  for (const seed of [1, 2, 3]) {
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

for (const { seed, found } of kept) {
  test(`seed ${seed} holds, which once found: ${found}`, async () => {
    const { violation } = await runStory(makeStory(seed));
    assert.equal(violation, null);
  });
}
