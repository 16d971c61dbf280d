import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { hostsFile } from "../../linux/host-files.ts";
import type { AppName } from "../../model/names.ts";
import { differing } from "./host-names.ts";

const db = (address: string): Buffer =>
  Buffer.from(
    hostsFile("shop-production-v1-1", "10.128.0.2", [
      { app: "cache" as AppName, addresses: ["10.128.0.9"] },
      { app: "db" as AppName, addresses: [address] },
    ]),
  );

test("differing() is a few bytes when an address takes another's place, however long they are", () => {
  const [before, after] = [db("10.128.0.7"), db("10.128.10.12")];
  assert.equal(before.length, after.length);
  const { from, to } = differing(before, after);
  assert.ok(to - from <= 5, `${to - from}`);
  assert.deepEqual(differing(before, before), { from: before.length, to: before.length });
});

test("differing() names the bytes that make one text of the other", () => {
  const bytes = fc.uint8Array({ max: 3, maxLength: 12 });
  fc.assert(
    fc.property(bytes, bytes, (before, longer) => {
      const after = Buffer.concat([longer, Buffer.alloc(Math.max(0, before.length - longer.length), 10)]);
      const { from, to } = differing(before, after);
      const patched = Buffer.alloc(after.length);
      patched.set(before);
      patched.set(after.subarray(from, to), from);
      assert.deepEqual([...patched], [...after]);
    }),
  );
});
