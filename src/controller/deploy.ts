import { OperatorError } from "../errors/operator-error.ts";
import type { Cause } from "../ledger/event.ts";
import { configOriginInEffect, environmentKey, type EnvironmentRecord, type ReleaseRecord } from "../ledger/state.ts";
import type { DeployRequest } from "../model/api/releases.ts";
import { effectiveConfig } from "../model/config.ts";
import { formatRoute, type Content, type EnvironmentSettings } from "../model/content.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { hasVolumes } from "../model/volumes.ts";
import { causeOf, type ReleaseOutcome } from "./begin.ts";
import type { Controller } from "./controller.ts";
import { refuseHeldVolumes } from "./held-volumes.ts";
import { promotedRelease } from "./promotion.ts";
import { deployMayBegin, putLive, type Wanted } from "./put-live.ts";
import { currentVersions, prepareSecrets, secretVariables } from "./secret-values.ts";
import { changeSettings } from "./settings.ts";

/**
 * Releases an artifact: a new release, unless its content is live already. Resolves at the switch.
 *
 * @throws {OperatorError} `ROUTE_OWNED`, `VOLUME_HELD`, `VOLUME_UNFIT`, `ARTIFACT_REVOKED`, `ARTIFACT_UNVERIFIED`, or the failure of the rollout
 */
export async function deploy(controller: Controller, request: DeployRequest): Promise<ReleaseOutcome> {
  const askedAtMs = controller.ports.clock.monotonic();
  const { app, environment, environmentSettings, tests } = request;
  const wanted = request.secrets ?? [];
  // Before it gets a number, and long before anything stops for it.
  await checkVolumes(controller, request);
  await deployMayBegin(controller, app, environment);
  const allowed = (): ReleaseRecord | undefined => allowedDeploy(controller, request);
  const causeBy = (proven: ReleaseRecord | undefined): Cause =>
    proven === undefined ? causeOf(request) : promotedCause(request, proven);
  const cause = causeBy(allowed());
  if (wanted.length > 0) {
    await prepareSecrets(controller, request, wanted, cause);
    await deployMayBegin(controller, app, environment);
  }
  // What is live keeps its settings until the new content takes over; without such, they hold at once.
  const before = controller.state.environments.get(environmentKey(app, environment));
  if (before === undefined || before.live === null)
    changeSettings(controller, app, environment, environmentSettings, cause);
  const record = recordOf(controller, app, environment);
  const plan = (): Wanted => {
    const proven = allowed();
    const { overrides } = configOriginInEffect(record);
    return {
      content: contentOf(record, request),
      configOrigin: { defined: request.config, overrides },
      settings: environmentSettings,
      cause: causeBy(proven),
      isDeploy: true,
      ...(tests && { tests }),
      ...(proven && request.from && { promoted: { environment: request.from, release: proven.number } }),
    };
  };
  return putLive(controller, record, plan, askedAtMs);
}

/** @throws {OperatorError} `VOLUME_UNFIT` */
export async function checkVolumes(controller: Controller, { artifact, settings }: DeployRequest): Promise<void> {
  if (hasVolumes(settings))
    await controller.ports.runtime.checkVolumes({ artifact, config: {}, secrets: {}, settings }, controller.signal);
}

/**
 * Refuses a deploy that must not be, as things are now.
 *
 * @returns the release by which it was proven in the environment before; undefined: there is none before
 * @throws {OperatorError} `VOLUME_HELD`, `ROUTE_OWNED`, `PROMOTION_DENIED`
 */
export function allowedDeploy(controller: Controller, request: DeployRequest): ReleaseRecord | undefined {
  const { app, environment, settings, environmentSettings } = request;
  refuseHeldVolumes(controller.state, { app, environment, content: { settings }, settings: environmentSettings });
  refuseOwnedRoute(controller, app, environment, environmentSettings);
  return promotedRelease(controller, request);
}

/** What a deploy puts live, given what is kept of its environment now. */
export function contentOf(record: EnvironmentRecord, request: DeployRequest): Content {
  const { artifact, config, settings, secrets = [] } = request;
  return {
    artifact,
    config: effectiveConfig(config, configOriginInEffect(record).overrides),
    secrets: currentVersions(record, secrets),
    settings: { ...settings, ...secretVariables(secrets) },
  };
}

/** What is promoted was built from the commit of then, not from the one this folder is at. */
function promotedCause({ who, why, request }: Cause, { cause: { commit } }: ReleaseRecord): Cause {
  return { who, why, ...(commit === undefined ? {} : { commit }), ...(request === undefined ? {} : { request }) };
}

function refuseOwnedRoute(
  controller: Controller,
  app: AppName,
  environment: EnvironmentName,
  settings: EnvironmentSettings,
): void {
  const wanted = routesOf(settings);
  const [own, preview] = wanted;
  if (preview !== undefined && own === preview)
    throw new OperatorError(
      "ROUTE_OWNED",
      `Cannot use route ${preview} for the preview of ${app} in ${environment}: it is its own route`,
      { hint: "give `strategy.blue-green.preview` another host or path" },
    );
  for (const other of controller.state.environments.values()) {
    if (other.app === app && other.environment === environment) continue;
    const coming = other.active === null ? null : (other.releases.get(other.active)?.settings ?? null);
    const routes =
      other.live === null && other.active === null
        ? []
        : [...routesOf(other.settings), ...routesOf(coming ?? other.settings)];
    const taken = wanted.find((route) => routes.includes(route));
    if (taken === undefined) continue;
    throw new OperatorError(
      "ROUTE_OWNED",
      `Cannot use route ${taken} for ${app} in ${environment}: ${other.app} in ${other.environment} has it`,
      {
        hint: "give one of them another `route.host` or `route.path`, or take the other down",
      },
    );
  }
}

/** Its own and that of its preview, as text. */
function routesOf({ route, strategy }: EnvironmentSettings): readonly string[] {
  const preview = strategy.kind === "blue-green" ? strategy.preview : undefined;
  return [route, preview].flatMap((one) => (one === null || one === undefined ? [] : formatRoute(one)));
}

function recordOf(controller: Controller, app: AppName, environment: EnvironmentName): EnvironmentRecord {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record === undefined) throw new Error(`${app}/${environment} has no record after its settings were recorded`);
  return record;
}
