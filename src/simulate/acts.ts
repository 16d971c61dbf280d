import { allowContent, changeRollout } from "../controller/rollout-requests.ts";
import { changeConfig } from "../controller/config.ts";
import type { Controller } from "../controller/controller.ts";
import { deploy } from "../controller/deploy.ts";
import { down } from "../controller/requests.ts";
import { rollback } from "../controller/rollback.ts";
import { scale } from "../controller/scale.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import { defaultEnvironmentSettings, defaultRunSettings } from "../model/content.ts";
import { app, artifactOf, asked } from "./contents.ts";
import type { Act } from "./story.ts";
import type { Stage } from "./stage.ts";

/** Why somebody rolls back who says where to. */
export const namedRollback = "named";

/** Asks a daemon for what a person wants. */
export function perform(controller: Controller, stage: Stage, act: Act): Promise<unknown> {
  const newest = stage.record?.lastRelease ?? 0;
  switch (act.kind) {
    case "deploy":
      return deploy(controller, deployRequest(act));
    case "rollback":
      if (act.back === null) return rollback(controller, asked);
      return rollback(controller, { ...asked, to: Math.max(1, newest - act.back), why: namedRollback });
    case "scale":
      return scale(controller, { ...asked, instances: act.instances });
    case "config":
      return changeConfig(controller, { ...asked, set: { LEVEL: String(act.value) } });
    case "down":
      return down(controller, { who: asked.who, why: asked.why, app });
    case "pause":
    case "resume":
    case "complete":
    case "abort":
      return changeRollout(controller, { ...asked, action: act.kind });
    case "allow":
      return allowed(controller, Math.max(1, newest - act.back));
  }
}

async function allowed(controller: Controller, release: number): Promise<unknown> {
  return allowContent(controller, { ...asked, release });
}

function deployRequest(act: Extract<Act, { kind: "deploy" }>): DeployRequest {
  const {
    content,
    variant,
    instances,
    strategy,
    deadlineMs,
    healthDeadlineMs,
    minReadyMs,
    watchMs,
    keepWarmMs,
    drainMs,
  } = act;
  return {
    ...asked,
    artifact: artifactOf(content),
    settings: { ...defaultRunSettings, health: { path: null, deadlineMs: healthDeadlineMs }, minReadyMs, drainMs },
    config: { VARIANT: String(variant) },
    environmentSettings: { ...defaultEnvironmentSettings, instances, strategy, deadlineMs, watchMs, keepWarmMs },
  };
}

/** An act in a few words. */
export function actText(act: Act): string {
  switch (act.kind) {
    case "deploy":
      return `deploy of content ${act.content}, variant ${act.variant}, ${act.instances} instances, ${JSON.stringify(act.strategy)}${act.twice ? ", asked for twice" : ""}`;
    case "rollback":
      return act.back === null ? "rollback" : `rollback to ${act.back} before the newest`;
    case "scale":
      return `scale to ${act.instances}`;
    case "config":
      return `config LEVEL=${act.value}`;
    case "allow":
      return `allow what is ${act.back} before the newest`;
    default:
      return act.kind;
  }
}
