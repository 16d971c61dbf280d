import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { compareDebianVersions } from "./debian-version.ts";

const versions = [
  "0~rc1",
  "0",
  "1.0~~a",
  "1.0",
  "1.0-0",
  "1.0-0ubuntu1",
  "1.0-1~bpo12+1",
  "1.0-1+b1",
  "1.0+dfsg-1",
  "1.0.0",
  "1.00001",
  "1a",
  "1Z",
  "1:0",
  "1:0:0-1",
  "2.36-9+deb12u10",
];

test("compareDebianVersions() says what dpkg --compare-versions says", () => {
  for (const a of versions) {
    for (const b of versions) {
      const ours = compareDebianVersions(a, b);
      const relation = ours < 0 ? "lt" : ours > 0 ? "gt" : "eq";
      const { status } = spawnSync("dpkg", ["--compare-versions", a, relation, b]);
      assert.equal(status, 0, `${a} ${relation} ${b}`);
    }
  }
});
