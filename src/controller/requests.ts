import { OperatorError } from "../errors/operator-error.ts";
import type { Cause, ConfigOrigin, EventData } from "../ledger/event.ts";
import { configOriginInEffect, environmentKey, type EnvironmentRecord, type ReleaseRecord } from "../ledger/state.ts";
import type { DeployRequest, DownRequest, RollbackRequest, ScaleRequest, WaitRequest } from "../model/api.ts";
import { canonicalJson, type Digest, type Json } from "../model/canonical.ts";
import { effectiveConfig } from "../model/config.ts";
import { contentDigest, formatRoute, type Content, type EnvironmentSettings } from "../model/content.ts";
import type { AppName, EnvironmentName } from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import { isUnasked } from "../rollout/plan.ts";
import { rollbackTarget, setOfContent } from "../rollout/target.ts";
import { isSettled, keyOf, type Controller } from "./controller.ts";
import { failureError, servingText } from "./executor.ts";
import { abortActive, newRelease, madeOf, rollbackTo, superseded, type NewRelease } from "./releases.ts";

/** A set that answers no sooner is not worth the wait: new instances serve in about that time. */
const askAnewMs = 500;

/** What came of a deploy or rollback. */
export interface ReleaseOutcome {
  readonly record: EnvironmentRecord;
  readonly release: ReleaseRecord;
  /** False: that content was live already, or only a rollout under way was ended. */
  readonly created: boolean;
}

/**
 * Releases an artifact: a new release, unless its content is live already. Resolves at the switch.
 *
 * @throws {OperatorError} `ROUTE_OWNED`, or the failure of the rollout
 */
export async function deploy(controller: Controller, request: DeployRequest): Promise<ReleaseOutcome> {
  const askedAtMs = controller.ports.clock.monotonic();
  const { app, environment, artifact, settings, environmentSettings } = request;
  const cause = causeOf(request);
  await deployMayBegin(controller, app, environment);
  refuseOwnedRoute(controller, app, environment, environmentSettings);
  // What is live keeps its settings until the new content takes over; without such, they hold at once.
  const before = controller.state.environments.get(environmentKey(app, environment));
  const overrides = before === undefined ? {} : configOriginInEffect(before).overrides;
  const configOrigin: ConfigOrigin = { defined: request.config, overrides };
  const content: Content = { artifact, config: effectiveConfig(request.config, overrides), secrets: {}, settings };
  const digest = contentDigest(content);
  const live = before === undefined || before.live === null ? undefined : before.releases.get(before.live.release);
  if (live === undefined) changeSettings(controller, app, environment, environmentSettings, cause);
  const record = recordOf(controller, app, environment);
  if (live?.digest === digest) {
    controller.recorder.append(...abortActive(record, superseded(record, `a deploy of what is live, v${live.number}`)));
    const changed = !same(record.settings, environmentSettings);
    changeSettings(controller, app, environment, environmentSettings, cause);
    changeConfigOrigin(controller, record, configOrigin, cause);
    controller.tick(keyOf(record));
    if (changed) await settingsHold(controller, record);
    return { record, release: live, created: false };
  }
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (
    active?.digest === digest &&
    same(active.settings ?? record.settings, environmentSettings) &&
    same(active.configOrigin, configOrigin)
  )
    return { record, release: await rolloutEnd(controller, record, active.number), created: true };
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
      ...(same(record.settings, environmentSettings) ? {} : { settings: environmentSettings }),
      ...madeOf(configOrigin),
    },
    askedAtMs,
  );
  return { record, release: await rolloutEnd(controller, record, release), created: true };
}

/**
 * Goes back to an earlier release's content, whole. Before a switch it only ends the rollout under way.
 *
 * @throws {OperatorError} `NO_ROLLBACK_TARGET`, `NOT_FOUND`, or the failure of the rollout
 */
export async function rollback(controller: Controller, request: RollbackRequest): Promise<ReleaseOutcome> {
  const askedAtMs = controller.ports.clock.monotonic();
  const record = knownEnvironment(controller, request.app, request.environment);
  const cause = causeOf(request);
  const mayBegin = (): boolean => !isSwitching(controller, record);
  if (!mayBegin()) await until(controller, mayBegin, Number.POSITIVE_INFINITY);
  const wanted = request.to === undefined ? rollbackTarget(record) : record.releases.get(request.to);
  if (wanted !== undefined) await askAnew(controller, record, wanted.digest);
  while (!mayBegin()) await until(controller, mayBegin, Number.POSITIVE_INFINITY);
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  const named = request.to === undefined ? undefined : namedRelease(record, request.to);
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active?.type === "deploy" && live !== undefined && (named === undefined || named.digest === live.digest)) {
    controller.recorder.append(
      ...abortActive(record, {
        code: "ROLLOUT_FAILED",
        summary: `Cannot complete rollout of ${record.app} to v${active.number} in ${record.environment}: ${cause.who} rolled back before it had traffic`,
        hint: servingText(record),
        evidence: [],
      }),
    );
    controller.tick(keyOf(record));
    return { record, release: live, created: false };
  }
  if (live !== undefined && named?.digest === live.digest) return { record, release: live, created: false };
  const target = named ?? rollbackTarget(record);
  if (target === undefined) {
    throw new OperatorError(
      "NO_ROLLBACK_TARGET",
      `Cannot roll back ${record.app} in ${record.environment}: ${nothingText(record)}`,
      {
        hint: "name a release with `bronze rollback vN` (see `bronze releases`), or deploy a new one",
      },
    );
  }
  const release = create(controller, record, rollbackTo(record, target, cause, false), askedAtMs);
  return { record, release: await rolloutEnd(controller, record, release), created: true };
}

/** Changes the number of instances; resolves when as many serve. */
export async function scale(controller: Controller, request: ScaleRequest): Promise<EnvironmentRecord> {
  const record = knownEnvironment(controller, request.app, request.environment);
  changeSettings(
    controller,
    request.app,
    request.environment,
    { ...record.settings, instances: request.instances },
    causeOf(request),
  );
  controller.tick(keyOf(record));
  if (record.live !== null) await settingsHold(controller, record);
  return record;
}

/** Waits until as many instances as wanted serve, at the route that is wanted and at no other. */
async function settingsHold(controller: Controller, record: EnvironmentRecord): Promise<void> {
  const { instances, route, deadlineMs } = record.settings;
  const holds = (): boolean =>
    isSettled(record, controller.fleet.all()) &&
    controller.view(record).rules.every((rule) => formatRoute(rule.route) === formatRoute(record.settings.route));
  if (await until(controller, holds, controller.ports.clock.monotonic() + deadlineMs)) return;
  throw new OperatorError(
    "ROLLOUT_UNHEALTHY",
    `Cannot bring ${record.app} to ${instances} instances${route === null ? "" : ` at ${formatRoute(route)}`} in time`,
    { hint: "`bronze status` names the instances that do not become healthy; those that serve go on" },
  );
}

/** Takes environments down; resolves when nothing of them runs any more. Their ledger and numbers stay. */
export async function down(controller: Controller, request: DownRequest): Promise<readonly EnvironmentRecord[]> {
  const all = [...controller.state.environments.values()];
  const chosen = all.filter(
    (record) =>
      request.all === true ||
      (record.app === request.app && (request.environment === undefined || record.environment === request.environment)),
  );
  if (chosen.length === 0 && request.all !== true)
    throw unknownEnvironment(controller, request.app, request.environment);
  const cause: Cause = { who: request.who, why: request.why };
  const newest = new Map(chosen.map((record) => [record, record.lastRelease]));
  const broughtBack = (record: EnvironmentRecord): boolean => record.lastRelease !== newest.get(record);
  for (const record of chosen) {
    const { app, environment } = record;
    const aborted = abortActive(record, {
      code: "ROLLOUT_FAILED",
      summary: `Cannot complete rollout of ${app} to v${record.active} in ${environment}: ${request.who} took it down`,
      hint: "bring it back with `bronze up`",
      evidence: [],
    });
    if (record.live !== null || record.sets.size > 0)
      controller.recorder.append(...aborted, { kind: "app.down", app, environment, cause });
    controller.tick(keyOf(record));
  }
  await until(
    controller,
    () =>
      chosen.some(broughtBack) ||
      chosen.every((record) => record.sets.size === 0 && controller.view(record).rules.length === 0),
    Number.POSITIVE_INFINITY,
  );
  const back = chosen.find(broughtBack);
  if (back !== undefined) {
    throw new OperatorError(
      "ROLLOUT_SUPERSEDED",
      `Cannot take ${back.app} down in ${back.environment}: v${back.lastRelease} was asked for meanwhile`,
      { hint: "see `bronze status`; run `bronze down` again if it is to go" },
    );
  }
  return chosen;
}

/** Waits until a release is proven or taken back, or its rollout failed. */
export async function watched(controller: Controller, request: WaitRequest): Promise<ReleaseRecord> {
  const record = knownEnvironment(controller, request.app, request.environment);
  const release = namedRelease(record, request.release);
  await until(
    controller,
    () => release.rollout === "aborted" || release.proof === "proven" || release.proof === "taken back",
    Number.POSITIVE_INFINITY,
  );
  if (release.failure !== null) throw failureError(release.failure);
  if (release.proof === "taken back") {
    throw new OperatorError(
      "ROLLOUT_FAILED",
      `Cannot prove v${release.number} of ${record.app}: taken back, ${release.takenBackBecause}`,
      {
        hint: servingText(record),
      },
    );
  }
  return release;
}

/** @throws {OperatorError} `NOT_FOUND`, naming what is there */
export function knownEnvironment(
  controller: Controller,
  app: AppName,
  environment: EnvironmentName,
): EnvironmentRecord {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record === undefined) throw unknownEnvironment(controller, app, environment);
  return record;
}

/** @throws {OperatorError} `NOT_FOUND` */
export function namedRelease(record: EnvironmentRecord, number: number): ReleaseRecord {
  const release = record.releases.get(number);
  if (release !== undefined) return release;
  throw new OperatorError("NOT_FOUND", `Cannot find release v${number} of ${record.app} in ${record.environment}`, {
    hint:
      record.lastRelease === 0
        ? "it has no release yet"
        : `there are v1 to v${record.lastRelease}: see \`bronze releases\``,
  });
}

/** `NOT_FOUND`, naming what is there and what was most likely meant. */
export function unknownEnvironment(
  controller: Controller,
  app: string | undefined,
  environment: string | undefined,
): OperatorError {
  const known = [...controller.state.environments.values()]
    .map((record) => `${record.app} in ${record.environment}`)
    .sort();
  const wanted = environment === undefined ? `${app}` : `${app} in ${environment}`;
  const near = nearestName(
    wanted,
    environment === undefined ? [...controller.state.environments.values()].map((record) => record.app) : known,
  );
  return new OperatorError("NOT_FOUND", `Cannot find ${wanted}: this daemon does not know it`, {
    hint:
      known.length === 0
        ? "nothing was deployed yet: run `bronze up`"
        : `${near === undefined ? "" : `did you mean ${near}? `}it knows ${known.slice(0, 10).join(", ")}`,
    details: { known },
  });
}

function nothingText(record: EnvironmentRecord): string {
  if (record.live === null) return "nothing is live";
  return `v${record.live.release} is live and there is no earlier proven release`;
}

function causeOf({ who, why, commit, request }: Cause): Cause {
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

/** A daemon that was held up asks a warm set anew before it takes its silence for an answer. */
async function askAnew(controller: Controller, record: EnvironmentRecord, digest: Digest): Promise<void> {
  const set = setOfContent(record, digest);
  const { fleet, ports } = controller;
  if (set !== undefined && isUnasked(set, fleet.all(), ports.clock.now())) await fleet.ask(set.name, askAnewMs);
}

/** Whether requests may be answered by the next release at any moment: what comes now comes after the switch. */
function isSwitching(controller: Controller, record: EnvironmentRecord): boolean {
  return controller.executor.flips.has(keyOf(record));
}

/** A deploy that arrives during a rollback, or a switch, waits for its end. */
async function deployMayBegin(controller: Controller, app: AppName, environment: EnvironmentName): Promise<void> {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record === undefined) return;
  const mayBegin = (): boolean =>
    !isSwitching(controller, record) &&
    (record.active === null || record.releases.get(record.active)?.type !== "rollback");
  while (!mayBegin()) await until(controller, mayBegin, Number.POSITIVE_INFINITY);
}

function changeSettings(
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

function changeConfigOrigin(
  controller: Controller,
  record: EnvironmentRecord,
  configOrigin: ConfigOrigin,
  cause: Cause,
): void {
  if (same(record.configOrigin, configOrigin)) return;
  const { app, environment } = record;
  controller.recorder.append({ kind: "config.changed", app, environment, ...configOrigin, cause });
}

function same<Value extends EnvironmentSettings | ConfigOrigin>(a: Value, b: Value): boolean {
  return canonicalJson(a as unknown as Json) === canonicalJson(b as unknown as Json);
}

function recordOf(controller: Controller, app: AppName, environment: EnvironmentName): EnvironmentRecord {
  const record = controller.state.environments.get(environmentKey(app, environment));
  if (record === undefined) throw new Error(`${app}/${environment} has no record after its settings were recorded`);
  return record;
}

function create(controller: Controller, record: EnvironmentRecord, release: NewRelease, askedAtMs: number): number {
  const events: readonly EventData[] = newRelease(
    record,
    release,
    controller.view(record),
    controller.ports.clock.now(),
  );
  const number = record.lastRelease + 1;
  controller.asked(record, number, askedAtMs);
  // What is switched to at once is followed at once by its result, which takes it to the disk.
  if (events.at(-1)?.kind === "traffic.switching") controller.recorder.appendIntent(...events);
  else controller.recorder.append(...events);
  controller.tick(keyOf(record));
  return number;
}

async function rolloutEnd(controller: Controller, record: EnvironmentRecord, number: number): Promise<ReleaseRecord> {
  const release = namedRelease(record, number);
  await until(controller, () => release.rollout !== "progressing", Number.POSITIVE_INFINITY);
  if (release.failure !== null) throw failureError(release.failure);
  return release;
}

/**
 * Resolves when a condition holds, looked at after each event and every 100 ms.
 *
 * @param deadlineMs monotonic @returns false when the deadline came first
 * @throws {OperatorError} `INTERRUPTED` when the daemon stops meanwhile
 */
function until(controller: Controller, condition: () => boolean, deadlineMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const { clock } = controller.ports;
    let cancel = (): void => {};
    let finished = false;
    const finish = (settle: () => void): void => {
      if (finished) return;
      finished = true;
      cancel();
      stopListening();
      controller.signal.removeEventListener("abort", onStop);
      settle();
    };
    const look = (): void => {
      if (condition()) finish(() => resolve(true));
      else if (clock.monotonic() >= deadlineMs) finish(() => resolve(false));
    };
    const onStop = (): void =>
      finish(() =>
        reject(
          new OperatorError(
            "DAEMON_UNREACHABLE",
            "Cannot wait any longer: the daemon stops; the rollout goes on when it is back",
            {
              hint: "see `bronze status`",
            },
          ),
        ),
      );
    const poll = (): void => {
      if (finished) return;
      cancel = clock.after(100, () => {
        look();
        poll();
      });
    };
    const stopListening = controller.recorder.listen(look);
    controller.signal.addEventListener("abort", onStop, { once: true });
    poll();
    look();
    if (controller.signal.aborted) onStop();
  });
}
