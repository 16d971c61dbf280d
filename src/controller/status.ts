import { releaseState, type EnvironmentRecord, type ReleaseRecord, type SetRecord } from "../ledger/state.ts";
import { digestNow, lostSecrets, replacedSecrets, replacedText } from "../ledger/secrets.ts";
import { crashMemoryMs } from "../ledger/crashes.ts";
import type { ReleaseChanges, ReleaseRow } from "../model/api/releases.ts";
import type {
  EnvironmentStatus,
  Figures,
  InstanceStatus,
  RollbackReadiness,
  TaskStatus,
  UnkeptPlace,
  WorkerStatus,
} from "../model/api/status.ts";
import type { RouteRule } from "../model/observation.ts";
import { splitInstanceName, webProcess, type AppName, type InstanceName } from "../model/names.ts";
import { overrideRows } from "../model/config.ts";
import { diffContents } from "../model/difference.ts";
import { formatDuration } from "../model/quantities.ts";
import { isUsable, readyInstances } from "../rollout/ready.ts";
import { earliestStartMs } from "../rollout/starts.ts";
import type { AnalysisView } from "../rollout/plan-analysis.ts";
import { whyBlocked } from "../rollout/revoked.ts";
import { leftBehind, pendingDeploy, rollbackTarget } from "../rollout/target.ts";
import type { FleetInstance } from "./fleet.ts";
import { rolloutStatus } from "./rollout-status.ts";
import { trustStatus, trustWarnings, whyUntrusted } from "./trust-status.ts";
import { stopFirst, stopsFor } from "./volume-status.ts";
import { startsAtSwitch, workerStatus, workerWarnings } from "./worker-status.ts";

/** What a status is made of, besides the record. */
export interface StatusInput {
  /** The instances now; null for a status of the past, of which only the ledger is known. */
  readonly instances: readonly FleetInstance[] | null;
  /** What they wrote to places that end with them; absent: nobody looked. */
  readonly unkept?: ReadonlyMap<InstanceName, readonly UnkeptPlace[]>;
  readonly nowMs: number;
  readonly routerUrl: string;
  /** What the router has in effect; absent: of a moment that is past. */
  readonly rules?: readonly RouteRule[];
  /** What was measured of the rollout under way; absent: nothing. */
  readonly measured?: AnalysisView | undefined;
  /** Apps that it waits for before it starts. */
  readonly waitsFor?: readonly AppName[];
  /** Why it is not limited as it should be. */
  readonly limitProblem?: string | undefined;
  /** Why what is live cannot be started. */
  readonly startProblem?: string | undefined;
}

/** A rollback is held to be ready only on probes not older than this, in ms. */
const freshMs = 2_000;

export function environmentStatus(record: EnvironmentRecord, input: StatusInput): EnvironmentStatus {
  const { settings, live } = record;
  const instances = (input.instances ?? []).filter(({ set }) => record.sets.has(set));
  const release = live === null ? undefined : record.releases.get(live.release);
  const liveInstances = instances.filter(({ set }) => set === live?.set);
  const workers = workerStatus(record, input.instances === null ? null : liveInstances);
  const rollback = readiness(record, instances, input.nowMs);
  const rows = instances.map((instance) => instanceStatus(record, instance, input));
  const liveSet = live === null ? undefined : record.sets.get(live.set);
  const healthy =
    input.instances === null
      ? [...(liveSet?.proven ?? [])].filter((name) => isWeb(name) && liveSet?.condemned.has(name) !== true).length
      : liveInstances.filter((instance) => isWeb(instance.name) && isUsable(instance)).length;
  return {
    app: record.app,
    environment: record.environment,
    route: settings.route,
    url: urlOf(record, input.routerUrl),
    settings,
    live:
      live === null || release === undefined
        ? null
        : {
            release: live.release,
            of: release.of,
            digest: release.digest,
            artifact: release.content.artifact,
            state: releaseState(release),
            sinceMs: Math.max(0, input.nowMs - live.sinceMs),
            watchEndsInMs:
              record.watch === null || record.watch.held !== null
                ? null
                : Math.max(0, record.watch.startedAtMs + settings.watchMs - input.nowMs),
          },
    trust: trustStatus(record),
    overrides: overrideRows(record.configOrigin.defined, record.configOrigin.overrides),
    rollout: rolloutStatus(record, instances, input.rules ?? null, input.nowMs, input.measured),
    quarantined: [...record.quarantined].map(([digest, { release: shown, reason, sinceMs }]) => ({
      digest,
      release: shown,
      reason,
      sinceMs: Math.max(0, input.nowMs - sinceMs),
    })),
    tasks: tasksOf(record, input.nowMs),
    wanted: live === null ? 0 : settings.instances,
    healthy,
    workers,
    instances: rows,
    stopFirst: stopFirst(record),
    rollback,
    figures: figuresOf(record, liveInstances, input),
    warnings: input.instances === null ? [] : warningsOf(record, { rows, rollback, healthy, workers }, input),
  };
}

/** A release as `bronze releases` lists it. */
export function releaseRow(record: EnvironmentRecord, release: ReleaseRecord): ReleaseRow {
  return {
    app: record.app,
    environment: record.environment,
    release: release.number,
    of: release.of,
    type: release.type,
    automatic: release.automatic,
    state: releaseState(release),
    live: record.live?.release === release.number,
    digest: release.digest,
    artifact: release.content.artifact,
    who: release.cause.who,
    why: release.cause.why,
    commit: release.cause.commit ?? null,
    request: release.cause.request ?? null,
    createdAtMs: release.createdAtMs,
    endedAtMs: release.endedAtMs,
    elapsedMs: release.elapsedMs,
    warm: release.warm,
    failure: release.failure?.summary ?? release.takenBackBecause,
    promoted: release.promoted,
    ...(release.leaves.length === 0 ? {} : { leaves: release.leaves }),
    ...revokedOf(record, release),
    changes: changesOf(record, release),
  };
}

function revokedOf(record: EnvironmentRecord, release: ReleaseRecord): Pick<ReleaseRow, "revoked"> {
  const revoked = whyBlocked(record, release);
  return revoked === undefined ? {} : { revoked };
}

function changesOf(record: EnvironmentRecord, release: ReleaseRecord): ReleaseChanges | null {
  const before = release.before === null ? undefined : record.releases.get(release.before);
  if (before === undefined) return null;
  const { artifact, config, secrets, settings } = diffContents(before.content, release.content);
  const names = (changes: readonly { readonly name: string }[]): readonly string[] => changes.map(({ name }) => name);
  return {
    against: before.number,
    artifact: artifact !== null,
    config: names(config),
    secrets,
    settings: names(settings),
  };
}

/** Where clients reach an environment; null: it has no route. */
export function urlOf(record: EnvironmentRecord, routerUrl: string): string | null {
  const { route } = record.settings;
  if (route === null) return null;
  const { host, path } = route;
  if (host === null) return new URL(path, routerUrl).href;
  const port = new URL(routerUrl).port;
  return `http://${host}${port === "" ? "" : `:${port}`}${path}`;
}

const isWeb = (name: InstanceName): boolean => splitInstanceName(name)?.process === webProcess;

function readiness(record: EnvironmentRecord, instances: readonly FleetInstance[], nowMs: number): RollbackReadiness {
  const { settings } = record;
  const target = rollbackTarget(record);
  const set = target === undefined ? undefined : warmSetOf(record, target);
  const own =
    set === undefined
      ? []
      : instances.filter((one) => one.set === set.name && isWeb(one.name) && one.phase === "running");
  const ready = set === undefined ? [] : readyInstances(set, own, nowMs);
  const probes = own.map(({ health }) => health.lastPassedAtMs).filter((atMs) => atMs !== null);
  const probedAgoMs = probes.length === 0 ? null : Math.max(0, nowMs - Math.min(...probes));
  const refused = target === undefined ? undefined : whyUntrusted(record, target);
  const ends = pendingDeploy(record)?.number;
  const isReady =
    refused === undefined &&
    target !== undefined &&
    ready.length >= settings.instances &&
    probedAgoMs !== null &&
    probedAgoMs <= freshMs;
  return {
    target: target?.number ?? null,
    warm: own.filter(isUsable).length,
    wanted: settings.instances,
    workers: startsAtSwitch(record, target),
    probedAgoMs,
    lastMeasuredMs: record.lastRollbackMs,
    ready: isReady,
    ...(refused === undefined ? {} : { refused }),
    ...(ends === undefined ? {} : { ends }),
    stopsFor: target === undefined ? [] : stopsFor(record, target),
    leaves: target === undefined ? [] : leftBehind(record, target.content.artifact),
    withinMs: settings.withinMs,
    promiseKept: settings.withinMs === null || isReady,
  };
}

function warmSetOf(record: EnvironmentRecord, target: ReleaseRecord): SetRecord | undefined {
  return [...record.sets.values()].find(
    (set) => set.digest === digestNow(record, target) && set.role === "warm" && !set.takenBack,
  );
}

function instanceStatus(
  record: EnvironmentRecord,
  instance: FleetInstance,
  { nowMs, unkept }: StatusInput,
): InstanceStatus {
  const set = record.sets.get(instance.set);
  const condemned = set?.condemned.has(instance.name) === true;
  return {
    name: instance.name,
    set: instance.set,
    process: instance.process,
    release: set?.release ?? 0,
    role: condemned ? "ending" : (set?.role ?? "ending"),
    health: instance.phase === "running" ? instance.health.state : "exited",
    address: instance.address,
    pid: instance.pid,
    ageMs: Math.max(0, nowMs - instance.startedAtMs),
    probedAgoMs: instance.health.lastPassedAtMs === null ? null : Math.max(0, nowMs - instance.health.lastPassedAtMs),
    drift: instance.drift,
    unkept: unkept?.get(instance.name) ?? [],
  };
}

function tasksOf(record: EnvironmentRecord, nowMs: number): readonly TaskStatus[] {
  return [...record.tasks.values()]
    .filter(({ ended }) => ended === null)
    .map(({ instance, release, command, startedAtMs, deadlineMs, cause }) => ({
      instance,
      release,
      command,
      sinceMs: Math.max(0, nowMs - startedAtMs),
      deadlineInMs: deadlineMs === null ? null : Math.max(0, startedAtMs + deadlineMs - nowMs),
      who: cause?.who ?? null,
    }));
}

function figuresOf(record: EnvironmentRecord, live: readonly FleetInstance[], input: StatusInput): Figures {
  const { lastMeasured } = record;
  const running = live.filter(({ phase }) => phase === "running");
  const drifted = running.filter(({ drift }) => drift.length > 0).length;
  const oldest = Math.min(...running.map(({ startedAtMs }) => startedAtMs));
  return {
    availability_during_deploy_pct:
      lastMeasured === null || lastMeasured.requests === 0
        ? null
        : availability(lastMeasured.requests, lastMeasured.failed),
    deploy_rollback_time_ms: record.lastRollbackMs,
    config_drift_pct: running.length === 0 ? null : Number(((100 * drifted) / running.length).toFixed(2)),
    instance_age_hours:
      running.length === 0 ? null : Number((Math.max(0, input.nowMs - oldest) / 3_600_000).toFixed(4)),
  };
}

/** In percent, to four digits; never 100 when one has failed. */
function availability(requests: number, failed: number): number {
  const percent = Number((100 * (1 - failed / requests)).toFixed(4));
  return failed === 0 ? percent : Math.min(percent, 99.9999);
}

interface Shown {
  readonly rows: readonly InstanceStatus[];
  readonly rollback: RollbackReadiness;
  readonly healthy: number;
  readonly workers: readonly WorkerStatus[];
}

function warningsOf(
  record: EnvironmentRecord,
  { rows, rollback, healthy, workers }: Shown,
  { nowMs, waitsFor = [], limitProblem, startProblem }: StatusInput,
): readonly string[] {
  const warnings: string[] = [];
  if (limitProblem !== undefined) warnings.push(limitProblem);
  if (startProblem !== undefined) warnings.push(startProblem);
  if (waitsFor.length > 0) warnings.push(`waits for ${waitsFor.join(", ")} to serve before it starts`);
  const { live, settings, watch } = record;
  if (live !== null && healthy < settings.instances)
    warnings.push(`unhealthy: ${healthy} of ${settings.instances} instances serve`);
  warnings.push(...trustWarnings(record), ...workerWarnings(workers));
  for (const set of record.sets.values()) warnings.push(...crashWarning(set, nowMs));
  for (const row of rows) for (const finding of row.drift) warnings.push(`${row.name} drifted: ${finding}`);
  if (watch !== null && watch.held !== null)
    warnings.push(
      `v${watch.release} looks bad (${watch.held.reason}) and is held for a person: what its release command did is not reversible; \`bronze rollback\` goes back to v${watch.held.to} all the same`,
    );
  if (watch?.warned === true)
    warnings.push(`v${watch.release} looks bad and was not taken back: see \`bronze history\``);
  if (rollback.target !== null && !rollback.promiseKept) {
    warnings.push(
      `a rollback within ${formatDuration(rollback.withinMs ?? 0)} is promised, but v${rollback.target} is not warm`,
    );
  }
  warnings.push(...secretWarnings(record, rollback));
  for (const set of record.sets.values()) {
    if (set.retiredBecause?.includes("memory") === true)
      warnings.push(`${set.name} is not kept warm: ${set.retiredBecause}`);
  }
  return warnings;
}

/** What a rollback would bring in another version than it was, and what of the live content has ended. */
function secretWarnings(record: EnvironmentRecord, { target }: RollbackReadiness): readonly string[] {
  const wanted = target === null ? undefined : record.releases.get(target);
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  return [
    ...(live === undefined ? [] : replacedSecrets(record, live.content)).map(
      ({ name, from, because }) =>
        `v${live?.number} runs with ${name} v${from}, which was ${because}: \`bronze secret revoke ${name}\` replaces it`,
    ),
    ...(wanted === undefined ? [] : replacedSecrets(record, wanted.content)).map(
      (one) => `a rollback to v${target} comes with ${replacedText(one)}`,
    ),
    ...(wanted === undefined ? [] : lostSecrets(record, wanted.content)).map(
      ([name]) => `a rollback to v${target} needs ${name}, which was removed: \`bronze secret set ${name}\` first`,
    ),
  ];
}

/** A first end is replaced at once and says nothing; later ones make the next start wait. */
function crashWarning(set: SetRecord, nowMs: number): readonly string[] {
  return [...set.crashes].flatMap(([process, { count, atMs }]) => {
    if (count < 2 || set.role === "ending" || nowMs - atMs >= crashMemoryMs) return [];
    const waitMs = earliestStartMs(set, process) - nowMs;
    const next = waitMs > 0 ? `, the next start is in ${formatDuration(Math.ceil(waitMs / 1_000) * 1_000)}` : "";
    const of = process === webProcess ? "instances" : `${process} instances`;
    return [`${of} of v${set.release} keep ending: ${count} times in a row${next}`];
  });
}
