import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { EnvironmentRecord } from "../ledger/state.ts";
import { AppNames } from "./app-names.ts";
import type { InstanceView } from "./view.ts";
import { contentOf, healthyNow, instance, set, Story } from "./testing.ts";

const story = (): Story => new Story().settings({ instances: 2 }).deployed(1, contentOf("one"));
function addressesOf(record: EnvironmentRecord, instances: readonly InstanceView[]): readonly string[] {
  const names = new AppNames();
  names.renew(record, instances);
  const followed = new AppNames();
  for (const instance of instances) followed.change(record, instance.name, instance);
  assert.deepEqual(followed.addresses, names.addresses, "one by one it is the same");
  return names.addresses;
}
const unhealthy = { health: { ...healthyNow(1_000_000), state: "unhealthy" as const } };

test("AppNames lists the live set's usable instances, sorted", () => {
  const told = addressesOf(story().record, [instance(1, 2), instance(1, 1), instance(2, 1)]);
  assert.deepEqual(told, ["10.128.1.1", "10.128.1.2"]);
});

test("AppNames leaves out what is unhealthy, ended, without an address, or to be replaced", () => {
  const { record } = story();
  record.sets.get(set(1))?.condemned.set(instance(1, 4).name, { atMs: 0, type: "drift", reason: "" });
  const told = addressesOf(record, [
    instance(1, 1),
    instance(1, 2, unhealthy),
    instance(1, 3, { phase: "exited" }),
    instance(1, 4),
    instance(1, 5, { address: null }),
  ]);
  assert.deepEqual(told, ["10.128.1.1"]);
});

test("AppNames keeps those that served before where all fail their probes, and none that never did", () => {
  const { record } = story();
  const all = [instance(1, 1, unhealthy), instance(1, 2, unhealthy)];
  assert.deepEqual(addressesOf(record, all), []);
  record.sets.get(set(1))?.proven.add(instance(1, 2).name);
  assert.deepEqual(addressesOf(record, all), ["10.128.1.2"]);
});

test("AppNames knows nobody of an app that is not live", () => {
  const next = new Story().settings({ instances: 1 }).create(1, contentOf("one"));
  assert.deepEqual(addressesOf(next.record, [instance(1, 1)]), []);
});

test("AppNames follows one that changes, and keeps its list where that changes nothing", () => {
  const { record } = story();
  for (const ordinal of [1, 2]) record.sets.get(set(1))?.proven.add(instance(1, ordinal).name);
  const names = new AppNames();
  names.renew(record, [instance(1, 1), instance(1, 2)]);
  const both = names.addresses;
  names.renew(record, [instance(1, 2), instance(1, 1)]);
  assert.equal(names.addresses, both);
  const follow = (ordinal: number, change?: Partial<InstanceView>) => {
    names.change(record, instance(1, ordinal).name, change === undefined ? undefined : instance(1, ordinal, change));
    return names.addresses;
  };
  assert.equal(follow(2, {}), both);
  assert.deepEqual(follow(2, unhealthy), ["10.128.1.1"]);
  const one = names.addresses;
  assert.equal(follow(2), one, "one that nobody asks for is gone");
  assert.deepEqual(follow(3, { address: "10.128.1.1" }), ["10.128.1.1", "10.128.1.1"]);
  assert.deepEqual(follow(1, { phase: "exited" }), ["10.128.1.1"], "who has the address now keeps it");
  assert.deepEqual(follow(3), []);
});

test("AppNames that follows changes stands for the same as one that looks at all anew", () => {
  const { record } = story();
  const own = record.sets.get(set(1));
  for (const ordinal of [1, 2, 3]) own?.proven.add(instance(1, ordinal).name);
  own?.condemned.set(instance(1, 3).name, { atMs: 0, type: "drift", reason: "" });
  const kinds: readonly (Partial<InstanceView> | null)[] = [
    {},
    unhealthy,
    { phase: "exited" },
    { address: null },
    { address: "10.128.9.9" },
    null,
  ];
  const change = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom(...kinds));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const there = new Map<number, InstanceView>();
      const followed = new AppNames();
      for (const [ordinal, kind] of changes) {
        const now = kind === null ? undefined : instance(1, ordinal, kind);
        if (now === undefined) there.delete(ordinal);
        else there.set(ordinal, now);
        followed.change(record, instance(1, ordinal).name, now);
        const anew = new AppNames();
        anew.renew(record, [...there.values()]);
        assert.deepEqual(followed.addresses, anew.addresses);
      }
    }),
  );
});
