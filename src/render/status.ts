import type {
  EnvironmentStatus,
  Figures,
  InstanceStatus,
  RollbackReadiness,
  StatusReport,
  WorkerStatus,
} from "../model/api/status.ts";
import type { TrustStatus } from "../model/api/trust.ts";
import { webProcess } from "../model/names.ts";
import { formatBytes, formatDuration } from "../model/quantities.ts";
import { commandText, leftText } from "../model/tasks.ts";
import { renderOverrides } from "./overrides.ts";
import type { Paint } from "./paint.ts";
import { renderQuarantined, renderRollout } from "./rollout.ts";
import { renderTable } from "./table.ts";

/** `v13`, or `v13 (= v11)` where the content is an earlier release's. */
export function renderRelease(release: number, of: number | null): string {
  return of === null || of === release ? `v${release}` : `v${release} (= v${of})`;
}

/** The first characters of a digest that people tell apart by. */
export function shortDigest(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}

/** More environments than this are shown in one line each: their blocks would fill several screens. */
const mostBlocks = 8;

/**
 * The whole report, one block per environment; each block ends with what a rollback would do now. Where there are many,
 * one line each.
 */
export function renderStatus(report: StatusReport, paint: Paint): readonly string[] {
  if (report.environments.length === 0) return ["nothing has been released yet", "rollback: nothing to go back to"];
  const storage = (report.storage ?? []).map((warning) => `${paint.warn("warning:")} ${warning}`);
  if (report.environments.length > mostBlocks) return [...storage, ...renderOverview(report.environments, paint)];
  return [
    ...storage,
    ...report.environments.flatMap((environment, index) => [
      ...(index === 0 ? [] : [""]),
      ...renderEnvironment(environment, paint),
    ]),
  ];
}

function renderOverview(environments: readonly EnvironmentStatus[], paint: Paint): readonly string[] {
  const rows = environments.map((environment) => {
    const { app, live, healthy, wanted, rollback, url } = environment;
    const count = `${healthy}/${wanted}`;
    return [
      app,
      environment.environment,
      live === null ? "-" : renderRelease(live.release, live.of),
      live === null ? "nothing is live" : live.state,
      healthy < wanted ? paint.bad(count) : paint.good(count),
      live === null ? "-" : formatDuration(live.sinceMs),
      rollback.ends !== undefined
        ? `ends v${rollback.ends}`
        : rollback.target === null
          ? "-"
          : `v${rollback.target} ${rollback.ready ? paint.good("ready") : paint.warn("cold")}`,
      url ?? "-",
      trouble(environment, paint),
    ];
  });
  return [
    ...renderTable([["APP", "ENVIRONMENT", "LIVE", "STATE", "HEALTHY", "FOR", "ROLLBACK", "URL", ""], ...rows]),
    "",
    "one app in full: bronze status --app APP",
  ];
}

/** What is on its way or not as it should be, short. */
function trouble({ rollout, instances, warnings }: EnvironmentStatus, paint: Paint): string {
  const drifted = instances.filter(({ drift }) => drift.length > 0).length;
  return [
    ...(rollout === null
      ? []
      : [`rollout to ${renderRelease(rollout.release, rollout.of)}${rollout.paused === null ? "" : ", paused"}`]),
    ...(drifted === 0 ? [] : [paint.bad(`${drifted} drifted`)]),
    ...(warnings.length === 0 ? [] : [paint.warn(warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`)]),
  ].join(", ");
}

function renderEnvironment(status: EnvironmentStatus, paint: Paint): readonly string[] {
  return [
    `${paint.bold(`${status.app} ${status.environment}`)}  ${status.url ?? "no route"}`,
    ...renderLive(status, paint),
    ...renderOverrides(status.overrides),
    ...renderStopFirst(status),
    ...renderRollout(status.rollout, paint),
    ...renderQuarantined(status.quarantined),
    ...renderTasks(status),
    ...renderInstances(status.instances, paint),
    ...renderUnkept(status.instances),
    renderFigures(status.figures),
    ...status.warnings.map((warning) => `${paint.warn("warning:")} ${warning}`),
    renderRollback(status, paint),
  ];
}

function renderLive({ live, trust, healthy, wanted, workers }: EnvironmentStatus, paint: Paint): readonly string[] {
  if (live === null) return ["nothing is live"];
  const watch = live.watchEndsInMs === null ? "" : `, ${formatDuration(live.watchEndsInMs)} left`;
  const count = `${healthy}/${wanted} healthy`;
  const parts = [
    `live ${paint.bold(renderRelease(live.release, live.of))}`,
    `${live.state}${watch}`,
    healthy < wanted ? paint.bad(count) : paint.good(count),
    ...workers.map((worker) => renderWorker(worker, paint)),
    `for ${formatDuration(live.sinceMs)}`,
    `artifact ${shortDigest(live.artifact)}${renderTrust(trust, paint)}`,
  ];
  return [parts.join(", ")];
}

/** What is known of the live artifact, in a word. */
function renderTrust(trust: TrustStatus | null, paint: Paint): string {
  if (trust === null) return "";
  if (trust.revoked !== null) return ` ${paint.bad("revoked")}`;
  if (trust.mode === "off") return ` ${paint.warn("not looked at (trust: off)")}`;
  return trust.reasons.length === 0 ? " verified" : ` ${paint.warn("not verified")}`;
}

function renderWorker({ process, healthy, wanted }: WorkerStatus, paint: Paint): string {
  const count = `${healthy}/${wanted} ${process}`;
  return healthy < wanted ? paint.bad(count) : paint.good(count);
}

function renderStopFirst({ stopFirst }: EnvironmentStatus): readonly string[] {
  if (stopFirst === null) return [];
  const { volumes, drainMs, lastMs, yieldsTo } = stopFirst;
  if (yieldsTo !== null) return [`what is live has ended for v${yieldsTo}, which gets its volumes: requests wait`];
  const last = lastMs === null ? "" : `, last time ${formatDuration(lastMs)}`;
  const noun = volumes.length === 1 ? "volume" : "volumes";
  return [
    `stop-first: one instance has ${noun} ${volumes.join(", ")} at a time, so each release ends what is live before it starts; requests wait meanwhile (drain up to ${formatDuration(drainMs)}, and the start${last})`,
  ];
}

/** What is lost when instances are replaced, one line each place. */
function renderUnkept(instances: readonly InstanceStatus[]): readonly string[] {
  const all = instances.flatMap(({ unkept }) => unkept);
  return [...Map.groupBy(all, ({ path }) => path)].map(([path, places]) => {
    const bytes = places.reduce((sum, place) => sum + place.bytes, 0);
    const files = places.reduce((sum, place) => sum + place.files, 0);
    const of = places.length === 1 ? "1 instance" : `${places.length} instances`;
    return `  not kept: ${path} holds ${formatBytes(bytes)} in ${files} ${files === 1 ? "file" : "files"} of ${of}, lost with ${places.length === 1 ? "it" : "them"}`;
  });
}

function renderTasks({ tasks }: EnvironmentStatus): readonly string[] {
  return tasks.map(({ instance, command, sinceMs, deadlineInMs, who }) => {
    const left = deadlineInMs === null ? "" : `, deadline in ${formatDuration(deadlineInMs)}`;
    return `task ${instance}: ${commandText(command)}, for ${formatDuration(sinceMs)}${left}${who === null ? "" : `, by ${who}`}`;
  });
}

function renderInstances(instances: readonly InstanceStatus[], paint: Paint): readonly string[] {
  if (instances.length === 0) return [];
  const withProcess = instances.some(({ process }) => process !== webProcess);
  const rows = instances.map((instance) => [
    instance.name,
    ...(withProcess ? [instance.process] : []),
    instance.role,
    paintHealth(instance, paint),
    instance.address ?? "-",
    formatDuration(instance.ageMs),
    instance.probedAgoMs === null ? "-" : `${formatDuration(instance.probedAgoMs)} ago`,
    instance.drift.length === 0 ? "" : paint.bad(`drift: ${instance.drift.join("; ")}`),
  ]);
  const head = ["INSTANCE", ...(withProcess ? ["PROCESS"] : []), "ROLE", "HEALTH", "ADDRESS", "AGE", "PROBED", ""];
  return renderTable([head, ...rows]).map((line) => `  ${line}`);
}

function paintHealth({ health }: InstanceStatus, paint: Paint): string {
  if (health === "healthy") return paint.good(health);
  return health === "unhealthy" || health === "exited" ? paint.bad(health) : health;
}

/** The four figures in one line; `-` where nothing was measured. */
function renderFigures(figures: Figures): string {
  const figure = (value: number | null, digits: number): string =>
    value === null ? "-" : String(Number(value.toFixed(digits)));
  return [
    `availability_during_deploy_pct ${figure(figures.availability_during_deploy_pct, 3)}`,
    `deploy_rollback_time_ms ${figure(figures.deploy_rollback_time_ms, 1)}`,
    `config_drift_pct ${figure(figures.config_drift_pct, 1)}`,
    `instance_age_hours ${figure(figures.instance_age_hours, 2)}`,
  ].join("  ");
}

/** What a rollback would do now: end the rollout under way, else go back. */
function renderRollback({ live, rollback }: EnvironmentStatus, paint: Paint): string {
  if (rollback.ends === undefined || live === null) return renderReadiness(rollback, paint);
  return `rollback: ends v${rollback.ends} before it is live, ${renderRelease(live.release, live.of)} stays live`;
}

/** What going back would be like: `rollback ready: v11, 4/4 warm, probed 0.4 s ago, last measured 3 ms`. */
export function renderReadiness(readiness: RollbackReadiness, paint: Paint): string {
  if (readiness.target === null) return "rollback: nothing to go back to";
  if (readiness.refused !== undefined)
    return `${paint.bad("rollback refused:")} v${readiness.target} is not verified: ${readiness.refused}`;
  const parts = [
    `v${readiness.target}`,
    `${readiness.warm}/${readiness.wanted} warm`,
    ...readiness.workers.map(({ process, count }) => `${count} ${process} to start then`),
    ...(readiness.probedAgoMs === null ? [] : [`probed ${formatAgo(readiness.probedAgoMs)} ago`]),
    ...(readiness.leaves.length === 0 ? [] : [leftText(readiness.leaves)]),
    ...(readiness.stopsFor.length === 0 ? [] : [`stop-first for ${readiness.stopsFor.join(", ")}`]),
    readiness.lastMeasuredMs === null ? "never measured" : `last measured ${formatDuration(readiness.lastMeasuredMs)}`,
    ...(readiness.withinMs === null || readiness.promiseKept
      ? []
      : [paint.warn(`the promised ${formatDuration(readiness.withinMs)} cannot be kept`)]),
  ];
  return `${readiness.ready ? paint.good("rollback ready:") : paint.warn("rollback from cold:")} ${parts.join(", ")}`;
}

/** Ages below a minute in seconds with one decimal, so that they line up as they change. */
function formatAgo(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms);
}
