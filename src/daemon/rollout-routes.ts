import type { FastifyInstance } from "fastify";
import type { Controller } from "../controller/controller.ts";
import { allowContent, changeRollout, type RolloutOutcome } from "../controller/rollout-requests.ts";
import { releaseState } from "../ledger/state.ts";
import type { AllowRequest, RolloutRequest, RolloutResult } from "../model/api/rollouts.ts";
import { withProgress } from "./progress.ts";
import { allowSchema, parseWith, rolloutSchema } from "./schemas.ts";
import { streamWork } from "./stream.ts";

/** The routes about rollouts under way and what they found bad. */
export function addRolloutRoutes(app: FastifyInstance, { controller }: { readonly controller: Controller }): void {
  app.post("/v1/rollout", async (request, reply) => {
    const body = parseWith(rolloutSchema, request.body, "rollout request") as RolloutRequest;
    await streamWork(reply, (progress) =>
      withProgress(controller, body, progress, async () => rolloutResult(await changeRollout(controller, body))),
    );
  });
  app.post("/v1/allow", async (request, reply) => {
    const body = parseWith(allowSchema, request.body, "allow request") as AllowRequest;
    await streamWork(reply, (progress) =>
      withProgress(controller, body, progress, async () => rolloutResult(allowContent(controller, body))),
    );
  });
}

function rolloutResult({ record, release, changed }: RolloutOutcome): RolloutResult {
  return {
    release: release.number,
    digest: release.digest,
    state: releaseState(release),
    changed,
    serving: record.live?.release ?? null,
    step: release.progress.step,
    weight: release.progress.weight,
  };
}
