import assert from "node:assert/strict";
import test from "node:test";
import type { DeployPlan } from "../model/api/rollouts.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { renderDeployPlan } from "./deploy-plan.ts";

const plan: DeployPlan = {
  app: "shop" as AppName,
  environment: "production" as EnvironmentName,
  release: 14,
  live: 13,
  strategy: "canary",
  way: "steps",
  steps: [
    { step: 1, coming: 1, live: 4, weight: 500, holdMs: 120_000, analyse: true },
    { step: 2, coming: 2, live: 4, weight: 5_000, holdMs: null, analyse: false },
    { step: null, coming: 4, live: 4, weight: 10_000, holdMs: 0, analyse: false },
  ],
  keepWarmMs: 1_800_000,
  stopsFor: [],
};

test("renderDeployPlan() tells instances, share and what is waited for at each step, and what becomes of the old", () => {
  assert.deepEqual(renderDeployPlan(plan), [
    "v14 of shop in production, by canary, from v13; when all goes well:",
    "  STEP  v14  v13  REQUESTS  THEN",
    "  1     1    4    5 %       2 min pass, its analysis passes",
    "  2     2    4    50 %      a person resumes",
    "  live  4    4    100 %     v13 stands by for 30 min",
  ]);
});

test("renderDeployPlan() tells where there are no steps, and why", () => {
  const last = { step: null, coming: 1, live: 0, weight: 10_000, holdMs: 0, analyse: false } as const;
  const one = { ...plan, steps: [last] };
  assert.deepEqual(renderDeployPlan({ ...plan, way: "none", steps: [] }), [
    "nothing to do: v13 of shop in production is this content already",
  ]);
  assert.match(renderDeployPlan({ ...one, way: "first", live: null }).join(), /nothing is live, .* 1 instance and has/);
  assert.match(
    renderDeployPlan({ ...one, way: "stop-first", stopsFor: ["data"] }).join(),
    /stop-first for data, which/,
  );
  assert.match(renderDeployPlan({ ...one, way: "stop-first" }).join(), /by recreate: requests wait, v13 ends, v14/);
  const other = {
    ...plan,
    strategy: "blue-green",
    because: "without a route there are no requests to share out",
  } as const;
  assert.match(renderDeployPlan(other)[0] ?? "", /by blue-green \(without a route .*\), from v13/);
  const rolling = { ...plan, strategy: "rolling", steps: [{ ...last, step: 1, weight: 2_000 }, last] } as const;
  assert.deepEqual(renderDeployPlan(rolling).slice(2), [
    "  1     1    0    20 %      they are ready",
    "  live  1    0    100 %",
  ]);
});
