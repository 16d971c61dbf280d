import { OperatorError } from "../errors/operator-error.ts";
import type { Cause, ConfigOrigin } from "../ledger/event.ts";
import { environmentKey, type EnvironmentRecord } from "../ledger/state.ts";
import { sameJson, type Json } from "../model/canonical.ts";
import { formatRoute, type Content, type EnvironmentSettings } from "../model/content.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { isSettled } from "../rollout/settled.ts";
import type { Controller } from "./controller.ts";
import { until } from "./until.ts";

/** Records settings that hold at once. */
export function changeSettings(
  controller: Controller,
  app: AppName,
  environment: EnvironmentName,
  settings: EnvironmentSettings,
  cause: Cause,
): void {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record !== undefined && same(record.settings, settings)) return;
  controller.recorder.append({ kind: "environment.changed", app, environment, settings, cause });
}

/** Records what the config is made of, where no release does. */
export function changeConfigOrigin(
  controller: Controller,
  record: EnvironmentRecord,
  configOrigin: ConfigOrigin,
  cause: Cause,
): void {
  if (same(record.configOrigin, configOrigin)) return;
  const { app, environment } = record;
  controller.recorder.append({ kind: "config.changed", app, environment, ...configOrigin, cause });
}

/**
 * Waits until as many instances as wanted serve, at the route that is wanted and at no other.
 *
 * @throws {OperatorError} `ROLLOUT_SUPERSEDED` when it is taken down meanwhile, `ROLLOUT_UNHEALTHY`
 */
export async function settingsHold(controller: Controller, record: EnvironmentRecord): Promise<void> {
  const { route, deadlineMs } = record.settings;
  const isDown = (): boolean => record.live === null && record.active === null;
  const holds = (): boolean => {
    if (isDown()) return true;
    const wanted = record.settings.route === null ? [] : [formatRoute(record.settings.route)];
    const rules = new Set(controller.rulesOf(record).map((rule) => formatRoute(rule.route)));
    return [...rules].join() === wanted.join() && isSettled(record, controller.instancesOf(record));
  };
  const isInTime = await until(controller, holds, controller.ports.clock.monotonic() + deadlineMs);
  if (isDown())
    throw new OperatorError(
      "ROLLOUT_SUPERSEDED",
      `Cannot bring ${record.app} to ${countsText(record.settings)}: it was taken down meanwhile`,
      { hint: "these numbers hold when it is up again: `bronze up`" },
    );
  if (isInTime) return;
  throw new OperatorError(
    "ROLLOUT_UNHEALTHY",
    `Cannot bring ${record.app} to ${countsText(record.settings)}${route === null ? "" : ` at ${formatRoute(route)}`} in time`,
    { hint: "`bronze status` names the instances that do not become healthy; those that serve go on" },
  );
}

function countsText({ instances, processes }: EnvironmentSettings): string {
  const others = Object.entries(processes ?? {}).map(([process, count]) => `${count} ${process}`);
  return [`${instances} instances`, ...others].join(", ");
}

export function same<Value extends EnvironmentSettings | ConfigOrigin | Content["secrets"]>(
  a: Value,
  b: Value,
): boolean {
  return sameJson(a as unknown as Json, b as unknown as Json);
}
