import assert from "node:assert/strict";
import test from "node:test";
import { addressesOfApp } from "./app-names.ts";
import { contentOf, healthyNow, instance, set, Story } from "./testing.ts";

const story = (): Story => new Story().settings({ instances: 2 }).deployed(1, contentOf("one"));
const unhealthy = { health: { ...healthyNow(1_000_000), state: "unhealthy" as const } };

test("addressesOfApp() lists the live set's usable instances, sorted", () => {
  const told = addressesOfApp(story().record, [instance(1, 2), instance(1, 1), instance(2, 1)]);
  assert.deepEqual(told, { app: "shop", addresses: ["10.128.1.1", "10.128.1.2"] });
});

test("addressesOfApp() leaves out what is unhealthy, ended, without an address, or to be replaced", () => {
  const { record } = story();
  record.sets.get(set(1))?.condemned.set(instance(1, 4).name, { atMs: 0, type: "drift", reason: "" });
  const told = addressesOfApp(record, [
    instance(1, 1),
    instance(1, 2, unhealthy),
    instance(1, 3, { phase: "exited" }),
    instance(1, 4),
    instance(1, 5, { address: null }),
  ]);
  assert.deepEqual(told, { app: "shop", addresses: ["10.128.1.1"] });
});

test("addressesOfApp() keeps those that served before where all fail their probes, and none that never did", () => {
  const { record } = story();
  const all = [instance(1, 1, unhealthy), instance(1, 2, unhealthy)];
  assert.deepEqual(addressesOfApp(record, all), undefined);
  record.sets.get(set(1))?.proven.add(instance(1, 2).name);
  assert.deepEqual(addressesOfApp(record, all), { app: "shop", addresses: ["10.128.1.2"] });
});

test("addressesOfApp() knows nothing of an app that is not live", () => {
  const next = new Story().settings({ instances: 1 }).create(1, contentOf("one"));
  assert.deepEqual(addressesOfApp(next.record, [instance(1, 1)]), undefined);
});
