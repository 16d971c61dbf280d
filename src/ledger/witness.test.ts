import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../model/canonical.ts";
import { chainEvent, chainStart, type ChainHead } from "./chain.ts";
import { fingerprint, type Checkpoint } from "./checkpoint.ts";
import type { LedgerEvent } from "./event.ts";
import { Witness, type Mismatch } from "./witness.ts";

type Plain = Pick<LedgerEvent, "atMs" | "data">;

const plain = (count: number, begin = 0): Plain[] =>
  Array.from({ length: count }, (_, index) => ({
    atMs: begin + index,
    data: { kind: "daemon.started", version: "1", pid: index },
  }));

/** All hashes fit: what somebody who can write the ledger makes of it. */
function chained(events: readonly Plain[]): LedgerEvent[] {
  let head: ChainHead = chainStart;
  return events.map((event) => {
    const next = chainEvent(head, event);
    head = next;
    return next;
  });
}

function signed(events: readonly LedgerEvent[], sequence = events.length): Checkpoint {
  const prints = Buffer.concat(events.slice(0, sequence).map(fingerprint));
  return {
    ledger: events[0]?.hash ?? sha256(""),
    sequence,
    head: events[sequence - 1]?.hash ?? sha256(""),
    at: "2026-01-01T00:00:00.000Z",
    events: sha256(prints),
  };
}

function judge(
  now: readonly LedgerEvent[],
  then: readonly LedgerEvent[],
  { at = [then.length], prints = true } = {},
): Mismatch | null {
  const witness = new Witness(
    at.map((sequence) => signed(then, sequence)),
    prints ? Buffer.concat(then.map(fingerprint)) : Buffer.alloc(0),
  );
  for (const event of now) witness.take(event);
  return witness.finish();
}

const then = chained(plain(20));

test("Witness finds nothing in a ledger that is what was signed, or has grown since", () => {
  assert.equal(judge(then, then), null);
  assert.equal(judge(chained(plain(30)), then), null);
  assert.equal(judge(then, then, { at: [1, 5, 20] }), null);
  assert.equal(judge(then, then, { prints: false }), null);
});

test("Witness names the first event that was changed, removed or moved, though all hashes were made to fit again", () => {
  const altered = (change: (events: Plain[]) => void): Mismatch | null => {
    const events = plain(25);
    change(events);
    return judge(chained(events), then);
  };
  const at = (events: Plain[], index: number): Plain => events[index] ?? { atMs: 0, data: { kind: "daemon.stopped" } };
  const cases: readonly (readonly [string, (events: Plain[]) => void, number, RegExp])[] = [
    ["a changed event", (events) => (events[6] = { ...at(events, 6), atMs: 99 }), 7, /was changed/],
    ["the first one changed", (events) => (events[0] = { ...at(events, 0), atMs: 99 }), 1, /was changed/],
    ["the last one changed", (events) => (events[19] = { ...at(events, 19), atMs: 99 }), 20, /was changed/],
    ["a removed event", (events) => events.splice(6, 1), 7, /was removed/],
    ["the first one removed", (events) => events.splice(0, 1), 1, /was removed/],
    ["two that were exchanged", (events) => events.splice(6, 2, at(events, 7), at(events, 6)), 7, /moved.* event 8/],
    ["one moved to the front", (events) => events.splice(2, 0, ...events.splice(9, 1)), 3, /moved.* event 10/],
    [
      "one put between",
      (events) => events.splice(6, 0, { atMs: 5, data: { kind: "daemon.stopped" } }),
      7,
      /put before/,
    ],
    ["all of them others", (events) => events.splice(0, 25, ...plain(25, 1_000)), 1, /replaced|another one/],
    ["everything after one gone", (events) => events.splice(12), 13, /removed, with all until event 20/],
    ["the last one gone", (events) => events.splice(19), 20, /was removed$/],
    [
      "a cut that a person asked for",
      (events) =>
        events.splice(12, 25, { atMs: 9, data: { kind: "ledger.salvaged", kept: 12, aside: "/x", who: "ada" } }),
      13,
      /dropped by ada/,
    ],
  ];
  for (const [what, change, seq, words] of cases) {
    const found = altered(change);
    assert.equal(found?.seq, seq, what);
    assert.match(found.finding, words, what);
  }
});

test("Witness names what does not even have hashes that fit", () => {
  const event = (index: number): LedgerEvent => then[index] as LedgerEvent;
  const changed = then.with(6, { ...event(6), atMs: 99 });
  assert.equal(judge(changed, then)?.seq, 7);
  assert.equal(judge(changed, then, { prints: false })?.seq, 7);
  const removed = then.toSpliced(6, 1);
  assert.deepEqual(judge(removed, then), {
    seq: 7,
    finding: "it was removed: event 8 follows event 6",
    isSalvage: false,
  });
  const exchanged = then.with(6, { ...event(7), seq: 7 }).with(7, { ...event(6), seq: 8 });
  assert.match(judge(exchanged, then)?.finding ?? "", /moved/);
  assert.match(judge(exchanged, then, { prints: false })?.finding ?? "", /does not continue/);
});

test("Witness without fingerprints says between which checkpoints something was done", () => {
  const events = plain(20);
  events[11] = { atMs: 99, data: { kind: "daemon.stopped" } };
  const found = judge(chained(events), then, { at: [5, 10, 15, 20], prints: false });
  assert.equal(found?.seq, 11);
  assert.match(found.finding, /until event 15/);
});

test("Witness does not go by fingerprints that no checkpoint vouches for", () => {
  const prints = Buffer.concat(then.map(fingerprint));
  prints.writeUInt8(prints.readUInt8(80) ^ 1, 80);
  const witness = new Witness([signed(then, 5), signed(then, 20)], prints);
  for (const event of then) witness.take(event);
  assert.equal(witness.finish(), null);
});
