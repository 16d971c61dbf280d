import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sha256 } from "../model/canonical.ts";
import { isListed, isStandingList, listedIn, serialiseStanding } from "./standing.ts";

test("`isListed()` finds what is in a list, and nothing else", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(500), { maxLength: 60 }), fc.nat(500), (numbers, asked) => {
      const list = serialiseStanding(numbers.map((number) => sha256(String(number))));
      assert.equal(isListed(list, sha256(String(asked))), numbers.includes(asked));
      assert.equal(listedIn(list).length, new Set(numbers).size);
    }),
  );
});

test("`isStandingList()` refuses a list that was changed or cut", () => {
  const list = serialiseStanding([sha256("a"), sha256("b")]);
  assert.equal(isStandingList(list, sha256(list)), true);
  assert.equal(isStandingList(list.subarray(0, 65), sha256(list)), false);
  assert.equal(isStandingList(list.subarray(0, 64), sha256(list.subarray(0, 64))), false);
});
