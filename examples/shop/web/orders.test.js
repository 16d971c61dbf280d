import assert from "node:assert/strict";
import test from "node:test";
import { describeOrder } from "./orders.js";

test("an order tells its state", () => {
  assert.equal(describeOrder({ item: "bell", state: "new" }), "bell: being packed");
  assert.equal(describeOrder({ item: "bell", state: "done" }), "bell: sent");
});
