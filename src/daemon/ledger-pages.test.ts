import assert from "node:assert/strict";
import test from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Recorder } from "../controller/recorder.ts";
import { createVirtualClock } from "../drivers/memory/clock.ts";
import { createMemoryJournal } from "../drivers/memory/journal.ts";
import { audit, ledgerPages, stateAt } from "./ledger-pages.ts";

const subnet = (n: number) => ({ kind: "network.chosen", subnet: `10.128.${n}.0/20` }) as const;

function world(events: number) {
  const clock = createVirtualClock(1_000);
  const journal = createMemoryJournal();
  const recorder = new Recorder(journal, clock);
  for (let n = 0; n < events; n += 1) recorder.append(subnet(n));
  return { clock, journal, recorder };
}

test("ledgerPages() gives every event once and lets others have their turn between", async () => {
  const { journal } = world(2_500);
  let turns = 0;
  const count = setInterval(() => (turns += 1), 0);
  const seqs: number[] = [];
  for await (const page of ledgerPages(journal, 100)) {
    seqs.push(...page.map(({ seq }) => seq));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  clearInterval(count);
  assert.deepEqual(
    seqs,
    Array.from({ length: 2_400 }, (_, i) => i + 101),
  );
  assert.ok(turns > 0);
});

test("audit() holds while events are appended", async () => {
  const { journal, recorder } = world(2_500);
  const appending = setInterval(() => recorder.append(subnet(7)), 0);
  const found = await audit(journal, (folded) => isDeepStrictEqual(folded, recorder.state));
  clearInterval(appending);
  assert.deepEqual([found.damage, found.equal], [null, true]);
  assert.ok(found.head.seq >= 2_500);
});

test("audit() names the first event that was altered, on any page", async () => {
  const { journal } = world(2_500);
  const altered = {
    ...journal,
    *read(after?: number) {
      for (const event of journal.read(after)) yield event.seq === 2_100 ? { ...event, atMs: 5 } : event;
    },
  };
  const found = await audit(altered, () => true);
  assert.deepEqual([found.damage?.seq, found.equal], [2_100, false]);
});

test("stateAt() is the state before what came later", async () => {
  const { clock, journal, recorder } = world(1_500);
  await clock.advance(1_000);
  recorder.append(subnet(99));
  assert.equal((await stateAt(journal, 1_500)).seq, 1_500);
  assert.equal((await stateAt(journal, 2_000)).subnet, "10.128.99.0/20");
});

test("stateAt() passes over a time that was only on the clock for a while", async () => {
  const { clock, journal, recorder } = world(0);
  recorder.append(subnet(1));
  clock.jump(3_600_000);
  await clock.advance(1_000);
  recorder.append(subnet(2));
  clock.jump(-3_600_000);
  await clock.advance(1_000);
  recorder.append(subnet(3));
  assert.equal((await stateAt(journal, 1_500)).subnet, "10.128.1.0/20");
  assert.equal((await stateAt(journal, 3_000)).subnet, "10.128.3.0/20");
  assert.equal((await stateAt(journal, 9_999_999)).timeline.offsetMs, 0);
});
