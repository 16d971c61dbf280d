import { OperatorError } from "../errors/operator-error.ts";
import { configOriginInEffect, environmentKey, noConfig, type EnvironmentRecord } from "../ledger/state.ts";
import type { ConfigReport, ConfigRequest } from "../model/api.ts";
import { configSizeProblem, effectiveConfig, overrideRows, type ConfigOverrides } from "../model/config.ts";
import { nearestName } from "../model/nearest.ts";
import { baseOf, causeOf, type ReleaseOutcome } from "./begin.ts";
import type { Controller } from "./controller.ts";
import { deployMayBegin, putLive } from "./deploy.ts";

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
  const { defined, overrides: before } = record === undefined ? noConfig : configOriginInEffect(record);
  for (const name of request.unset ?? []) refuseUnknown(name, [...Object.keys(before), ...Object.keys(defined)]);
  const kept = request.unsetAll === true ? {} : without(before, request.unset ?? []);
  const configOrigin = { defined, overrides: { ...kept, ...request.set } };
  const config = effectiveConfig(defined, configOrigin.overrides);
  const problem = configSizeProblem(config) ?? configSizeProblem(configOrigin.overrides);
  if (problem !== undefined) {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot configure ${app} in ${environment}: ${problem}`, {
      hint: "put what is large into a file of the image",
    });
  }
  const cause = causeOf(request);
  const base = record === undefined ? undefined : baseOf(record);
  if (record === undefined || base === undefined) {
    controller.recorder.append({ kind: "config.changed", app, environment, ...configOrigin, cause });
    return null;
  }
  const content = { ...base.content, config };
  const settings = base.settings ?? record.settings;
  // What is on its way and was not let through yet has to pass all the same.
  const pending =
    base.rollout === "progressing" ? { tests: base.tests, ...(base.promoted && { promoted: base.promoted }) } : {};
  return putLive(controller, record, { content, configOrigin, settings, cause, ...pending }, askedAtMs);
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
