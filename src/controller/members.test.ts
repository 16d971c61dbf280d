import assert from "node:assert/strict";
import test from "node:test";
import type { SetRecord } from "../ledger/state.ts";
import { contentOf, instance, set, Story } from "../rollout/testing.ts";
import type { InstanceName } from "../model/names.ts";
import type { FleetInstance } from "./fleet.ts";
import { Members } from "./members.ts";

const seen = (ordinal: number, change: Partial<FleetInstance> = {}): FleetInstance => ({
  ...instance(1, ordinal),
  port: 8080,
  pid: 1,
  drift: [],
  ...change,
});
const nameOf = (ordinal: number): InstanceName => seen(ordinal).name;

function settled(count: number): { members: Members; record: SetRecord; placed: InstanceName[] } {
  const story = new Story().settings({ instances: count }).deployed(1, contentOf("one"));
  const record = story.record.sets.get(set(1)) ?? assert.fail();
  const members = new Members();
  const placed: InstanceName[] = [];
  for (let ordinal = 1; ordinal <= count; ordinal += 1) {
    members.put(seen(ordinal));
    record.proven.add(nameOf(ordinal));
    placed.push(nameOf(ordinal));
  }
  return { members, record, placed: placed.sort() };
}

const look = ({ members, record, placed }: ReturnType<typeof settled>, nowMs = 2_000_000) => {
  const { plain, odd, all } = members.view({ set: record, routed: true, placed, nowMs });
  return [plain, odd.map(({ ordinal }) => ordinal), all.length];
};

test("Members.view() counts those about which nothing is to be done, and lists the others", () => {
  const known = settled(5);
  assert.deepEqual(look(known), [5, [], 5]);
  known.members.put(seen(3, { phase: "exited" }));
  assert.deepEqual(look(known), [4, [3], 5]);
  known.members.put(seen(6));
  assert.deepEqual(look(known), [4, [3, 6], 6], "without a place and a passed probe on record it is not plain");
  known.members.remove(nameOf(3));
  assert.deepEqual(look(known), [4, [6], 5]);
  known.record.condemned.set(nameOf(1), { atMs: 0, type: "surplus", reason: "" });
  known.members.suspect(nameOf(1));
  assert.deepEqual(look(known), [3, [1, 6], 5]);
  known.members.suspectAll();
  assert.deepEqual(look(known), [3, [1, 6], 5], "what is plain is found to be so again");
});

test("Members.changedSince() names those that changed, and says when it does not know any more", () => {
  const { members } = settled(3);
  const before = members.changes;
  assert.deepEqual(members.changedSince(before), []);
  members.put(seen(2, { phase: "exited" }));
  members.remove(nameOf(3));
  assert.deepEqual(members.changedSince(before), [nameOf(2), nameOf(3)]);
  assert.deepEqual(members.changedSince(before + 1), [nameOf(3)]);
  for (let change = 0; change < 1_000; change += 1) members.suspect(nameOf(1));
  assert.equal(members.changedSince(before), undefined, "too long ago");
  const later = members.changes;
  members.suspectAll();
  assert.deepEqual(members.changedSince(later), [], "nobody has changed");
});
