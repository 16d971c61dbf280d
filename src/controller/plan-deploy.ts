import { contentNow } from "../ledger/secrets.ts";
import type { EnvironmentRecord } from "../ledger/state.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import type { DeployPlan } from "../model/api/rollouts.ts";
import { contentDigest } from "../model/content.ts";
import { setName, webProcess } from "../model/names.ts";
import { clashes, volumesOf } from "../model/volumes.ts";
import { planAhead } from "../rollout/plan-ahead.ts";
import { strategyOf } from "../rollout/targets.ts";
import { foreseeAdmission } from "./admission.ts";
import type { Controller } from "./controller.ts";
import { allowedDeploy, checkVolumes, contentOf } from "./deploy.ts";
import { refuseQuarantined } from "./put-live.ts";
import { isCurrent, recordAt } from "./secret-values.ts";

/**
 * What a deploy would do now, when all goes well; nothing is changed.
 *
 * @throws {OperatorError} what the deploy would be refused for: `ROUTE_OWNED`, `VOLUME_HELD`, `VOLUME_UNFIT`,
 *   `PROMOTION_DENIED`, `CONTENT_QUARANTINED`, `ARTIFACT_REVOKED`, `ARTIFACT_UNVERIFIED`
 */
export async function planDeploy(controller: Controller, request: DeployRequest): Promise<DeployPlan> {
  await checkVolumes(controller, request);
  allowedDeploy(controller, request);
  const { app, environment, environmentSettings } = request;
  const { strategy, instances, keepWarmMs } = environmentSettings;
  const record = recordAt(controller, request);
  await foreseeAdmission(
    controller,
    record ?? { app, environment, live: null, lastRelease: 0 },
    request.artifact,
    environmentSettings.trust,
  );
  if (record !== undefined) refuseQuarantined(record, contentNow(record, contentOf(record, request)));
  const isLive = record !== undefined && (await isLiveAlready(controller, record, request));
  const live = record === undefined || record.live === null ? undefined : record.sets.get(record.live.set);
  const report = { app, environment, release: (record?.lastRelease ?? 0) + 1, live: record?.live?.release ?? null };
  const nothing = { ...report, strategy: strategy.kind, stopsFor: [], keepWarmMs: 0 };
  if (isLive) return { ...nothing, way: "none", steps: [] };
  const atOnce = { step: null, coming: instances, live: 0, weight: 10_000, holdMs: 0, analyse: false } as const;
  if (record === undefined || live === undefined) return { ...nothing, way: "first", steps: [atOnce] };
  const stopsFor = clashes(
    volumesOf(request.settings, webProcess, record),
    volumesOf(live.content.settings, webProcess, record),
  ).map(({ name }) => name);
  if (strategy.kind === "recreate" || stopsFor.length > 0)
    return { ...nothing, way: "stop-first", steps: [atOnce], stopsFor };
  const shape = {
    type: "deploy",
    set: setName(app, environment, report.release),
    settings: environmentSettings,
  } as const;
  const chosen = strategyOf(record, shape);
  const steps = planAhead(chosen.strategy, instances, record.settings.instances);
  // What a rolling rollout replaced is used up, also where its last one is still there when the new ones are ready.
  const isLeft = chosen.strategy.kind !== "rolling" && (steps.at(-1)?.live ?? 0) > 0;
  return {
    ...nothing,
    strategy: chosen.strategy.kind,
    way: "steps",
    steps,
    keepWarmMs: isLeft && environmentSettings.route !== null ? keepWarmMs : 0,
    ...(chosen.because === undefined ? {} : { because: chosen.because }),
  };
}

/** Whether its content is live already; one with a secret of a value that is not kept yet is not. */
async function isLiveAlready(
  controller: Controller,
  record: EnvironmentRecord,
  request: DeployRequest,
): Promise<boolean> {
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  if (live === undefined) return false;
  for (const { name, value } of request.secrets ?? [])
    if (value !== undefined && !(await isCurrent(controller, request, name, Buffer.from(value, "base64"))))
      return false;
  return live.digest === contentDigest(contentNow(record, contentOf(record, request)));
}
