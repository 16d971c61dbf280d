import { OperatorError } from "../errors/operator-error.ts";
import type { Cause, ConfigOrigin } from "../ledger/event.ts";
import { contentNow } from "../ledger/secrets.ts";
import { configOriginInEffect, environmentKey, type EnvironmentRecord, type ReleaseRecord } from "../ledger/state.ts";
import type { DeployRequest, Promotion } from "../model/api.ts";
import { effectiveConfig } from "../model/config.ts";
import { contentDigest, formatRoute, type Content, type EnvironmentSettings } from "../model/content.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { hasVolumes } from "../model/volumes.ts";
import { testsDigest, type TestTask } from "../model/tasks.ts";
import { causeOf, create, isSwitching, rolloutEnd, type ReleaseOutcome } from "./begin.ts";
import { keyOf, type Controller } from "./controller.ts";
import { refuseHeldVolumes } from "./held-volumes.ts";
import { promotedRelease } from "./promotion.ts";
import { abortActive, madeOf, superseded } from "./releases.ts";
import { checkSecrets, currentVersions, prepareSecrets, secretVariables } from "./secret-values.ts";
import { changeConfigOrigin, changeSettings, same, settingsHold } from "./settings.ts";
import { until } from "./until.ts";

/** What an environment is to be. */
export interface Wanted {
  readonly content: Content;
  readonly configOrigin: ConfigOrigin;
  readonly settings: EnvironmentSettings;
  readonly cause: Cause;
  /** What its artifact has to pass first, unless it has; absent: nothing. */
  readonly tests?: readonly TestTask[];
  readonly promoted?: Promotion;
}

/**
 * Releases an artifact: a new release, unless its content is live already. Resolves at the switch.
 *
 * @throws {OperatorError} `ROUTE_OWNED`, `VOLUME_HELD`, `VOLUME_UNFIT`, or the failure of the rollout
 */
export async function deploy(controller: Controller, request: DeployRequest): Promise<ReleaseOutcome> {
  const askedAtMs = controller.ports.clock.monotonic();
  const { app, environment, artifact, settings, environmentSettings, tests } = request;
  const wanted = request.secrets ?? [];
  const { runtime } = controller.ports;
  // Before it gets a number, and long before anything stops for it.
  if (hasVolumes(settings))
    await runtime.checkVolumes({ artifact, config: {}, secrets: {}, settings }, controller.signal);
  await deployMayBegin(controller, app, environment);
  const proven = promotedRelease(controller, request);
  const cause = proven === undefined ? causeOf(request) : promotedCause(request, proven);
  const promoted =
    proven === undefined || request.from === undefined
      ? {}
      : { promoted: { environment: request.from, release: proven.number } };
  refuseHeldVolumes(controller.state, { app, environment, content: { settings }, settings: environmentSettings });
  refuseOwnedRoute(controller, app, environment, environmentSettings);
  if (wanted.length > 0) {
    await prepareSecrets(controller, request, wanted, cause);
    await deployMayBegin(controller, app, environment);
  }
  // What is live keeps its settings until the new content takes over; without such, they hold at once.
  const before = controller.state.environments.get(environmentKey(app, environment));
  const overrides = before === undefined ? {} : configOriginInEffect(before).overrides;
  const configOrigin: ConfigOrigin = { defined: request.config, overrides };
  const content: Content = {
    artifact,
    config: effectiveConfig(request.config, overrides),
    secrets: currentVersions(before, wanted),
    settings: { ...settings, ...secretVariables(wanted) },
  };
  if (before === undefined || before.live === null)
    changeSettings(controller, app, environment, environmentSettings, cause);
  const record = recordOf(controller, app, environment);
  return putLive(
    controller,
    record,
    { content, configOrigin, settings: environmentSettings, cause, ...(tests && { tests }), ...promoted },
    askedAtMs,
  );
}

/**
 * Puts a content live: by a new release, unless it is live already, or on its way. Resolves at the switch.
 *
 * @param askedAtMs monotonic: what the rollout's time is counted from
 */
export async function putLive(
  controller: Controller,
  record: EnvironmentRecord,
  wanted: Wanted,
  askedAtMs: number,
): Promise<ReleaseOutcome> {
  const { app, environment } = record;
  const { configOrigin, settings, cause, tests = [], promoted } = wanted;
  // What has ended never comes back.
  const content = contentNow(record, wanted.content);
  if (Object.keys(content.secrets).length > 0) {
    await checkSecrets(controller, record, content);
    await deployMayBegin(controller, app, environment);
  }
  const digest = contentDigest(content);
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  if (live?.digest === digest) {
    controller.recorder.append(...abortActive(record, superseded(record, `a deploy of what is live, v${live.number}`)));
    const changed = !same(record.settings, settings);
    changeSettings(controller, app, environment, settings, cause);
    changeConfigOrigin(controller, record, configOrigin, cause);
    controller.tick(keyOf(record));
    if (changed) await settingsHold(controller, record);
    return { record, release: live, created: false };
  }
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (
    active?.digest === digest &&
    same(active.settings ?? record.settings, settings) &&
    same(active.configOrigin, configOrigin)
  )
    return { record, release: await rolloutEnd(controller, record, active.number), created: true };
  const hasPassed = controller.state.passedTests.get(content.artifact)?.has(testsDigest(tests)) === true;
  const release = create(
    controller,
    record,
    {
      type: "deploy",
      of: null,
      automatic: false,
      digest,
      content,
      cause,
      ...(same(record.settings, settings) ? {} : { settings }),
      ...madeOf(configOrigin),
      ...(tests.length === 0 || hasPassed ? {} : { tests }),
      ...(promoted === undefined ? {} : { promoted }),
    },
    askedAtMs,
  );
  return { record, release: await rolloutEnd(controller, record, release), created: true };
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
  if (settings.route === null) return;
  const wanted = formatRoute(settings.route);
  for (const other of controller.state.environments.values()) {
    if (other.app === app && other.environment === environment) continue;
    const coming = other.active === null ? null : (other.releases.get(other.active)?.settings ?? null);
    const routes =
      other.live === null && other.active === null ? [] : [other.settings.route, (coming ?? other.settings).route];
    if (!routes.some((route) => formatRoute(route) === wanted)) continue;
    throw new OperatorError(
      "ROUTE_OWNED",
      `Cannot use route ${wanted} for ${app} in ${environment}: ${other.app} in ${other.environment} has it`,
      {
        hint: "give one of them another `route.host` or `route.path`, or take the other down",
      },
    );
  }
}

/** A deploy that arrives during a rollback, or a switch, waits for its end. */
export async function deployMayBegin(
  controller: Controller,
  app: AppName,
  environment: EnvironmentName,
): Promise<void> {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record === undefined) return;
  const mayBegin = (): boolean =>
    !isSwitching(controller, record) &&
    (record.active === null || record.releases.get(record.active)?.type !== "rollback");
  while (!mayBegin()) await until(controller, mayBegin, Number.POSITIVE_INFINITY);
}

function recordOf(controller: Controller, app: AppName, environment: EnvironmentName): EnvironmentRecord {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record === undefined) throw new Error(`${app}/${environment} has no record after its settings were recorded`);
  return record;
}
