import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestName } from "./nearest.ts";

test("nearestName() finds swaps, slips and missing letters, and nothing where all is far", () => {
  const known = ["status", "rollback", "releases", "logs"];
  assert.equal(nearestName("statsu", known), "status");
  assert.equal(nearestName("rolback", known), "rollback");
  assert.equal(nearestName("log", known), "logs");
  assert.equal(nearestName("frobnicate", known), undefined);
  assert.equal(nearestName("", known), undefined);
});
