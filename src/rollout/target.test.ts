import assert from "node:assert/strict";
import test from "node:test";
import { rollbackTarget } from "./target.ts";
import { contentOf, Story } from "./testing.ts";

const v1 = contentOf("one");
const v2 = contentOf("two");
const v3 = contentOf("three");

test("rollbackTarget() walks back: v1 good, v2 good, v3 bad → v4 (= v2) → v5 (= v1) → nothing", () => {
  const story = new Story().settings({}).deployed(1, v1).deployed(2, v2).deployed(3, v3);
  assert.equal(rollbackTarget(story.record)?.number, 2);
  story.create(4, v2, { of: 2 }).goLive(4).prove(4);
  assert.equal(rollbackTarget(story.record)?.number, 1);
  story.create(5, v1, { of: 1 }).goLive(5).prove(5);
  assert.equal(rollbackTarget(story.record), undefined);
});

test("rollbackTarget() passes over releases that were not proven", () => {
  const story = new Story().settings({}).deployed(1, v1).create(2, v2).goLive(2).deployed(3, v3);
  assert.equal(rollbackTarget(story.record)?.number, 1);
});

test("rollbackTarget() passes over earlier releases of what is live", () => {
  const story = new Story().settings({}).deployed(1, v1).deployed(2, v2).deployed(3, v1);
  assert.equal(rollbackTarget(story.record)?.number, 2);
});

test("rollbackTarget() goes from a content named outside the line to what was live before", () => {
  const story = new Story().settings({}).deployed(1, v1).deployed(2, v2).create(3, v1, { of: 1 }).goLive(3).prove(3);
  assert.equal(rollbackTarget(story.record), undefined);
  story.create(4, v2, { of: 2 }).goLive(4).prove(4);
  assert.equal(rollbackTarget(story.record)?.number, 1);
});

test("rollbackTarget() is nothing when nothing is live", () => {
  assert.equal(rollbackTarget(new Story().settings({}).record), undefined);
});
