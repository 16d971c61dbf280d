import assert from "node:assert/strict";
import test from "node:test";
import type { ProbeResult } from "../model/observation.ts";
import { afterProbe, countProbe, startingHealth, unknownHealth, type Health, type KeptHealth } from "./health.ts";

const good: ProbeResult = { kind: "accepted", latencyMs: 1 };
const bad: ProbeResult = { kind: "refused", latencyMs: 0 };

test("countProbe() counts what changes nothing else as afterProbe() does, and leaves all else to it", () => {
  // Every row of ten answers, from both beginnings.
  for (const first of [startingHealth, unknownHealth])
    for (let row = 0; row < 2 ** 10; row += 1) {
      let health: Health = first;
      for (let atMs = 1; atMs <= 10; atMs += 1) {
        const passed = ((row >> (atMs - 1)) & 1) === 1;
        const result = passed ? good : bad;
        const expected = afterProbe(health, passed, result, atMs);
        const kept: KeptHealth = { ...health };
        const isCounted = countProbe(kept, passed, result, atMs);
        assert.equal(isCounted, expected.state === health.state);
        assert.deepEqual(kept, isCounted ? expected : health);
        health = expected;
      }
    }
});
