import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { jumpOf, resumeAt, timelineStart } from "./timeline.ts";

const hourMs = 3_600_000;

test("jumpOf() tells a clock that was set from one that is slewed", () => {
  const timeline = { ...timelineStart, offsetMs: 500 };
  assert.equal(jumpOf(timeline, 10_000, 10_500), 0);
  assert.equal(jumpOf(timeline, 10_000, 11_499), 0);
  assert.equal(jumpOf(timeline, 10_000, 10_500 + hourMs), hourMs);
  assert.equal(jumpOf(timeline, 10_000 + hourMs, 10_500), -hourMs);
});

test("resumeAt() goes by the uptime on the same boot, whatever the clock says", () => {
  const timeline = { offsetMs: 0, lastMs: 60_000, boot: { id: "a", upMs: 5_000, atMs: 50_000 } };
  for (const wallMs of [70_000, 70_000 + hourMs, 70_000 - hourMs])
    assert.equal(resumeAt(timeline, { id: "a", upMs: 25_000 }, wallMs), 70_000);
});

test("resumeAt() goes by the clock after a reboot, less the jumps that are known", () => {
  const timeline = { offsetMs: hourMs, lastMs: 60_000, boot: { id: "a", upMs: 5_000, atMs: 50_000 } };
  assert.equal(resumeAt(timeline, { id: "b", upMs: 9_000 }, hourMs + 90_000), 90_000);
  assert.equal(resumeAt(timelineStart, { id: "b", upMs: 9_000 }, 1_234), 1_234);
});

test("resumeAt() never goes back behind the newest event", () => {
  const moment = fc.integer({ min: 0, max: 10 * hourMs });
  fc.assert(
    fc.property(moment, moment, moment, moment, fc.boolean(), (lastMs, wallMs, upMs, before, same) => {
      const timeline = { offsetMs: 0, lastMs, boot: { id: "a", upMs: before, atMs: lastMs } };
      assert.ok(resumeAt(timeline, { id: same ? "a" : "b", upMs }, wallMs) >= lastMs);
    }),
  );
});
