import assert from "node:assert/strict";
import test from "node:test";
import type { RolloutStatus } from "../model/api/rollouts.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import type { Context } from "./context.ts";
import { showRollout } from "./rollout-line.ts";

const target = { app: "shop" as AppName, environment: "production" as EnvironmentName };
const rollout = { release: 2, strategy: "canary", step: 1, steps: 2, weight: 500, sets: [], healthy: 1, wanted: 4 };

test("showRollout() shows a rollout by steps until nobody waits for it any more", { timeout: 30_000 }, async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const lines: string[] = [];
  const statuses: (Partial<RolloutStatus> | null)[] = [
    { ...rollout, step: 0, paused: null } as unknown as RolloutStatus,
    { ...rollout, paused: null, holdLeftMs: 3_000 } as unknown as RolloutStatus,
    null,
  ];
  const context = {
    client: { get: async () => ({ environments: [{ rollout: statuses.shift() ?? null }] }) },
    output: {
      isLive: true,
      live: (text: string) => {
        lines.push(text);
        if (lines.length === 3) resolve();
      },
    },
    signal: new AbortController().signal,
  } as unknown as Context;
  const stop = showRollout(context, target);
  await promise;
  stop();
  assert.deepEqual(lines, ["", "  v2: step 1 of 2, 5 %, 1/4 healthy, 3 s more", "", ""]);
});
