import { OperatorError } from "../errors/operator-error.ts";
import type { ConfigOrigin } from "../ledger/event.ts";
import { configOriginInEffect, environmentKey, noConfig, type EnvironmentRecord } from "../ledger/state.ts";
import type { ConfigReport, ConfigRequest } from "../model/api/releases.ts";
import { configSizeProblem, effectiveConfig, overrideRows, type ConfigOverrides } from "../model/config.ts";
import { nearestName } from "../model/nearest.ts";
import { baseOf, causeOf, comingSettings, pendingOf, type ReleaseOutcome } from "./begin.ts";
import type { Controller } from "./controller.ts";
import { deployMayBegin, putLive, type Wanted } from "./put-live.ts";

/**
 * Changes overrides: one new release of what is live, or on its way, with all the changes. Resolves at the switch.
 *
 * @returns null where nothing is live: the overrides are kept for what comes first
 * @throws {OperatorError} `NOT_FOUND` for a name that is nowhere set, `ARGUMENT_INVALID`, or the failure of the rollout
 */
export async function changeConfig(controller: Controller, request: ConfigRequest): Promise<ReleaseOutcome | null> {
  const askedAtMs = controller.ports.clock.monotonic();
  const { app, environment } = request;
  await deployMayBegin(controller, app, environment);
  const record = controller.state.environments.get(environmentKey(app, environment));
  const cause = causeOf(request);
  const keep = (configOrigin: ConfigOrigin): null => {
    controller.recorder.append({ kind: "config.changed", app, environment, ...configOrigin, cause });
    return null;
  };
  if (record === undefined) return keep(changed(request, noConfig));
  const plan = (): Wanted | null => {
    const configOrigin = changed(request, configOriginInEffect(record));
    const base = baseOf(record);
    if (base === undefined) return keep(configOrigin);
    const config = effectiveConfig(configOrigin.defined, configOrigin.overrides);
    const settings = comingSettings(record, base);
    return { content: { ...base.content, config }, configOrigin, settings, cause, ...pendingOf(base) };
  };
  return putLive(controller, record, plan, askedAtMs);
}

/** @throws {OperatorError} `NOT_FOUND`, `ARGUMENT_INVALID` */
function changed(request: ConfigRequest, { defined, overrides }: ConfigOrigin): ConfigOrigin {
  const { app, environment, set, unset = [], unsetAll } = request;
  for (const name of unset) refuseUnknown(name, [...Object.keys(overrides), ...Object.keys(defined)]);
  const next = { ...(unsetAll === true ? {} : without(overrides, unset)), ...set };
  const problem = configSizeProblem(effectiveConfig(defined, next)) ?? configSizeProblem(next);
  if (problem === undefined) return { defined, overrides: next };
  throw new OperatorError("ARGUMENT_INVALID", `Cannot configure ${app} in ${environment}: ${problem}`, {
    hint: "put what is large into a file of the image",
  });
}

/** What an environment's config is, and what it is made of. */
export function configReport(record: EnvironmentRecord): ConfigReport {
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  const { defined, overrides } = record.configOrigin;
  return {
    app: record.app,
    environment: record.environment,
    release: live?.number ?? null,
    version: live?.configVersion ?? null,
    config: live?.content.config ?? effectiveConfig(defined, overrides),
    overrides: overrideRows(defined, overrides),
  };
}

function refuseUnknown(name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  const near = nearestName(name, known);
  throw new OperatorError("NOT_FOUND", `Cannot unset "${name}": neither the definition nor an override sets it`, {
    hint: near === undefined ? "`bronze config list` shows what is set" : `did you mean ${near}?`,
  });
}

function without(overrides: ConfigOverrides, names: readonly string[]): ConfigOverrides {
  return Object.fromEntries(Object.entries(overrides).filter(([name]) => !names.includes(name)));
}
