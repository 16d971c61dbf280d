import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareDebianVersions, isDebianVersion } from "./debian-version.ts";

test("compareDebianVersions() orders as Debian policy 5.6.12 says", () => {
  const ascending = [
    "0~", // a tilde comes before everything, even the end
    "0",
    "1.0~~",
    "1.0~~a",
    "1.0~",
    "1.0~rc1-1",
    "1.0",
    "1.0-0.1",
    "1.0-1~deb12u1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb12u1",
    "1.0-1.1",
    "1.0-2",
    "1.0-10",
    "1.0a",
    "1.0+dfsg-1", // letters before all else
    "1.0.1",
    "1.2",
    "1.10",
    "1:0.1",
    "10:0",
  ];
  ascending.forEach((a, i) =>
    ascending.forEach((b, j) => {
      assert.equal(Math.sign(compareDebianVersions(a, b)), Math.sign(i - j), `${a} against ${b}`);
    }),
  );
});

test("compareDebianVersions() holds versions equal that differ in writing only", () => {
  for (const [a, b] of [
    ["1.0", "0:1.0"],
    ["1.0", "1.0-0"],
    ["1.02", "1.2"],
    ["1.0-0", "1.0-00"],
    ["99999999999999999999999999999", "099999999999999999999999999999"],
  ] as const)
    assert.equal(compareDebianVersions(a, b), 0, `${a} against ${b}`);
});

test("compareDebianVersions() is an order: it reverses with its arguments, and is transitive", () => {
  const version = fc.stringMatching(/^[0-9][0-9a-zA-Z.+~]{0,8}(-[0-9a-z~+.]{1,4})?$/);
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      assert.equal(Math.sign(compareDebianVersions(a, b)), 0 - Math.sign(compareDebianVersions(b, a)));
      if (compareDebianVersions(a, b) <= 0 && compareDebianVersions(b, c) <= 0)
        assert.ok(compareDebianVersions(a, c) <= 0);
    }),
  );
});

test("isDebianVersion() refuses what dpkg cannot read", () => {
  for (const text of ["1", "1:2-3", "1.0-1~bpo12+1", "2:1.0:2-1", "a", "1-2-3"]) assert.ok(isDebianVersion(text), text);
  for (const text of ["", "1:", ":1", "x:1", "1 0", "1_0", "1-", "-1", "-", "99999999999:1", "1/2", "1".repeat(1_001)])
    assert.ok(!isDebianVersion(text), text);
});
