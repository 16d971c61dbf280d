import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { InstanceName } from "../model/names.ts";
import type { Endpoint } from "../model/observation.ts";
import { instance } from "../rollout/testing.ts";
import { changedPlaces, noPlaces, placesOf } from "./places.ts";

const nameOf = (ordinal: number): InstanceName => instance(1, ordinal).name;
const at = (name: InstanceName): Endpoint => ({ instance: name, address: `at ${name}`, port: 8080 });
const placed = (...ordinals: readonly number[]) => placesOf(ordinals.map((ordinal) => at(nameOf(ordinal))));

test("changedPlaces() comes to the same as all places worked out anew", () => {
  const some = fc.oneof(
    fc.uniqueArray(fc.integer({ min: 1, max: 30 })),
    fc.integer({ min: 100, max: 200 }).map((count) => Array.from({ length: count }, (_, index) => index + 1)),
  );
  fc.assert(
    fc.property(some, some, some, (before, add, remove) => {
      const changes = {
        add: add.filter((one) => !remove.includes(one)).map(nameOf),
        remove: remove.map(nameOf),
      };
      const names = new Set(before.map(nameOf));
      for (const name of changes.remove) names.delete(name);
      for (const name of changes.add) names.add(name);
      assert.deepEqual(changedPlaces(placed(...before), changes, at), placesOf([...names].map(at)));
    }),
  );
});

test("changedPlaces() gives no place to who takes requests nowhere, and another to who takes them elsewhere", () => {
  const add = [nameOf(2), nameOf(3)];
  assert.deepEqual(
    changedPlaces(placed(1), { add, remove: [] }, (name) => (name === nameOf(2) ? undefined : at(name))),
    placed(1, 3),
  );
  const moved = { ...at(nameOf(1)), address: "10.128.9.9" };
  assert.deepEqual(
    changedPlaces(placed(1, 2), { add: [nameOf(1)], remove: [] }, () => moved),
    placesOf([moved, at(nameOf(2))]),
  );
  assert.deepEqual(changedPlaces(placed(1, 2), { add: [], remove: [nameOf(1), nameOf(2)] }, at), noPlaces);
});
