import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { chainEvent, chainStart, verifyChain } from "./chain.ts";
import type { LedgerEvent } from "./event.ts";

function chainOf(length: number): LedgerEvent[] {
  const events: LedgerEvent[] = [];
  for (let i = 0; i < length; i += 1) {
    const event = { atMs: 1_000 + i, data: { kind: "daemon.started", version: "1", pid: i + 1 } } as const;
    events.push(chainEvent(events.at(-1) ?? chainStart, event));
  }
  return events;
}

test("verifyChain() accepts what chainEvent() made", () => {
  const events = chainOf(20);
  const check = verifyChain(events);
  assert.equal(check.damage, null);
  assert.deepEqual(check.head, { seq: 20, hash: events[19]?.hash });
});

test("verifyChain() names the first event that was altered, removed or moved", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8 }), fc.constantFrom("alter", "remove", "swap", "time"), (at, damage) => {
      const events = chainOf(10);
      const victim = events[at] as LedgerEvent;
      if (damage === "alter") events[at] = { ...victim, data: { kind: "daemon.started", version: "1", pid: 999 } };
      if (damage === "time") events[at] = { ...victim, atMs: victim.atMs + 1 };
      if (damage === "remove") events.splice(at, 1);
      if (damage === "swap") events.splice(at, 2, events[at + 1] as LedgerEvent, victim);
      assert.equal(verifyChain(events).damage?.seq, at + 1);
    }),
  );
});

test("verifyChain() cannot see a cut tail by itself: the head tells", () => {
  const events = chainOf(10);
  const check = verifyChain(events.slice(0, 7));
  assert.equal(check.damage, null);
  assert.notEqual(check.head.hash, events[9]?.hash);
});
