import { defaultEnvironmentSettings, readWrittenSettings, type EnvironmentSettings } from "../model/content.ts";
import {
  splitInstanceName,
  webProcess,
  type AppName,
  type EnvironmentName,
  type InstanceName,
} from "../model/names.ts";
import { withCounts, type Counts } from "../model/processes.ts";
import { countExit, countFailedStart, exitText } from "./crashes.ts";
import type { EventData, LedgerEvent } from "./event.ts";
import {
  abortRollout,
  changeOrigin,
  createRelease,
  refuseRelease,
  releaseOf,
  retire,
  switchTraffic,
  type Moment,
} from "./fold-release.ts";
import { applyDecision, hurryRollout, pauseRollout, resumeRollout, stepRollout } from "./fold-rollout.ts";
import { answerCheck, endTask, loseTasks, passTests, runTask, startTask, stopTasks } from "./fold-tasks.ts";
import { changeRevocations } from "./revocations.ts";
import { endSecret, setSecret } from "./secrets.ts";
import {
  emptyState,
  environmentKey,
  nextOrdinalOf,
  noConfig,
  type EnvironmentRecord,
  type LedgerState,
  type SetRecord,
} from "./state.ts";

type EventOf<Kind extends EventData["kind"]> = Extract<EventData, { kind: Kind }>;

/** Folds events into a state; the only way a state comes to be. */
export function foldEvents(events: Iterable<LedgerEvent>): LedgerState {
  const state = emptyState();
  for (const event of events) applyEvent(state, event);
  return state;
}

/** Applies one event to a state, in place. Events must come in the ledger's order, each once. */
export function applyEvent(state: LedgerState, event: LedgerEvent): void {
  state.seq = event.seq;
  const { data } = event;
  const { timeline } = state;
  if (data.kind === "clock.jumped") timeline.offsetMs += data.byMs;
  const moment: Moment = { atMs: event.atMs - timeline.offsetMs, wallMs: event.atMs };
  timeline.lastMs = moment.atMs;
  switch (data.kind) {
    case "daemon.started":
      if (isOtherBoot(timeline.boot, data.boot))
        for (const record of state.environments.values()) beginAnew(record, moment.atMs);
      timeline.boot = data.boot === undefined ? null : { ...data.boot, atMs: moment.atMs };
      return;
    case "clock.jumped":
    case "daemon.stopped":
    case "image.touched":
    case "storage.checked":
    case "ledger.salvaged":
    case "drift.found":
    case "snapshot.starting":
    case "volume.restored":
    case "volume.removed":
      return;
    case "blob.damaged":
      state.damagedBlobs.set(data.digest, data.finding);
      return;
    case "layer.imaged":
      state.layerImages.set(data.diffId, data.imageDigest);
      return;
    case "network.chosen":
      if (data.environment === undefined) state.subnet = data.subnet;
      else state.networks.set(data.environment, { subnet: data.subnet, number: data.number ?? 0 });
      return;
    case "environment.changed":
      return changeSettings(
        environmentOf(state, data.app, data.environment),
        readWrittenSettings(data.settings),
        data.counts,
      );
    case "artifact.revoked":
    case "artifact.blocked":
    case "artifact.reinstated":
      return changeRevocations(state.revocations, data, event.atMs);
    case "trust.verified":
    case "trust.warned":
    case "trust.refused":
      state.trust.set(data.artifact, {
        origin: data.origin,
        keyLog: data.keyLog,
        reasons: data.kind === "trust.verified" ? [] : data.reasons,
      });
      return;
    case "tests.passed":
      return passTests(state, environmentOf(state, data.app, data.environment), data);
    default: {
      const environment = environmentOf(state, data.app, data.environment);
      applyToEnvironment(environment, data, moment);
    }
  }
}

type Plain =
  | "clock.jumped"
  | "daemon.started"
  | "daemon.stopped"
  | "image.touched"
  | "blob.damaged"
  | "storage.checked"
  | "ledger.salvaged"
  | "drift.found"
  | "snapshot.starting"
  | "volume.restored"
  | "volume.removed"
  | "layer.imaged"
  | "network.chosen"
  | "environment.changed"
  | "artifact.revoked"
  | "artifact.blocked"
  | "artifact.reinstated"
  | "trust.verified"
  | "trust.warned"
  | "trust.refused"
  | "tests.passed";

function applyToEnvironment(
  record: EnvironmentRecord,
  data: Exclude<EventData, { kind: Plain }>,
  moment: Moment,
): void {
  const { atMs } = moment;
  switch (data.kind) {
    case "config.changed":
      return changeOrigin(record, { defined: data.defined, overrides: data.overrides });
    case "secret.set":
      return setSecret(record, data, moment.wallMs);
    case "secret.revoked":
    case "secret.removed":
      return endSecret(record, data);
    case "release.created":
      return createRelease(record, data, moment);
    case "release.refused":
      return refuseRelease(record, data, moment);
    case "traffic.switching":
      record.switching = { release: data.release, set: data.set, from: data.from };
      return;
    case "traffic.switched":
      return switchTraffic(record, data, moment);
    case "rollout.stepped":
      return stepRollout(record, data, atMs);
    case "rollout.paused":
      return pauseRollout(record, data, atMs);
    case "rollout.resumed":
      return resumeRollout(record, data.release, atMs);
    case "rollout.hurried":
      return hurryRollout(record, data.release, atMs);
    case "rollout.aborted":
      return abortRollout(record, data, moment);
    case "content.quarantined":
      record.quarantined.set(data.digest, { release: data.release, reason: data.reason, sinceMs: atMs });
      return;
    case "content.allowed":
      record.quarantined.delete(data.digest);
      return;
    case "decision.made":
      return applyDecision(record, data);
    case "rollout.measured": {
      releaseOf(record, data.release).measured = { requests: data.requests, failed: data.failed };
      if (data.requests !== null && data.failed !== null)
        record.lastMeasured = { requests: data.requests, failed: data.failed };
      return;
    }
    case "release.proven":
      releaseOf(record, data.release).proof = "proven";
      if (record.watch?.release === data.release) record.watch = null;
      return;
    case "release.taken_back": {
      const release = releaseOf(record, data.release);
      release.proof = "taken back";
      release.takenBackBecause = data.reason;
      if (record.watch?.release === data.release) record.watch = null;
      return;
    }
    case "watch.warned":
      if (record.watch?.release === data.release) record.watch.warned = true;
      return;
    case "set.retired": {
      const set = record.sets.get(data.set);
      if (set !== undefined) retire(set, data.reason, atMs);
      return;
    }
    case "set.yielded": {
      const set = record.sets.get(data.set);
      if (set !== undefined) set.yieldsTo = { release: data.release, atMs };
      // What an earlier rollout left ends as well: one content alone comes.
      for (const other of record.sets.values())
        if (other.role === "leaving") retire(other, `v${data.release} starts when it has ended`, atMs);
      return;
    }
    case "snapshot.made":
      if (data.release !== null) releaseOf(record, data.release).snapshots.set(data.volume, data.snapshot);
      return;
    case "set.removed":
      record.sets.delete(data.set);
      return;
    case "instances.starting": {
      const set = record.sets.get(data.set);
      const process = data.process ?? webProcess;
      const after = data.ordinals.map((ordinal) => ordinal + 1);
      set?.nextOrdinal.set(process, Math.max(nextOrdinalOf(set, process), ...after));
      return;
    }
    case "instances.failed": {
      const set = record.sets.get(data.set);
      if (set !== undefined) countFailedStart(set, data.process, atMs, data.reason);
      return;
    }
    case "instance.healthy":
      seenSetOf(record, data.instance)?.proven.add(data.instance);
      return;
    case "instance.condemned": {
      const set = seenSetOf(record, data.instance);
      set?.condemned.set(data.instance, { atMs, type: data.type, reason: data.reason });
      if (set !== undefined && data.type === "late")
        countExit(set, data.instance, atMs, "did not become healthy in time");
      return;
    }
    case "instance.exited": {
      const set = seenSetOf(record, data.instance);
      if (set !== undefined) countExit(set, data.instance, atMs, exitText(data));
      return;
    }
    case "instance.removed": {
      const set = seenSetOf(record, data.instance);
      set?.condemned.delete(data.instance);
      set?.proven.delete(data.instance);
      return;
    }
    case "watch.held":
      if (record.watch?.release === data.release) record.watch.held = { to: data.to, reason: data.reason };
      return;
    case "task.started":
      return startTask(record, data, atMs);
    case "task.running":
      return runTask(record, data, atMs);
    case "task.ended":
      return endTask(record, data);
    case "check.answered":
      return answerCheck(record, data);
    case "app.down":
      return takeDown(record, atMs);
    default:
      data satisfies never;
  }
}

function isOtherBoot(before: LedgerState["timeline"]["boot"], now: EventOf<"daemon.started">["boot"]): boolean {
  return before !== null && now !== undefined && before.id !== now.id;
}

/** While the machine was off nothing was watched, and no rollout could go on: what measures that begins anew. */
function beginAnew(record: EnvironmentRecord, atMs: number): void {
  loseTasks(record);
  if (record.watch !== null) record.watch = { ...record.watch, startedAtMs: atMs };
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active === undefined) return;
  active.deadlineAtMs = atMs + active.deadlineMs;
  const { paused } = active.progress;
  active.progress = { ...active.progress, sinceMs: atMs, paused: paused && { ...paused, sinceMs: atMs } };
}

function changeSettings(record: EnvironmentRecord, settings: EnvironmentSettings, counts?: Counts): void {
  record.settings = settings;
  const active = record.active === null ? undefined : record.releases.get(record.active);
  // Scaled during its rollout: the newer number holds.
  if (active === undefined || active.settings === null) return;
  active.settings =
    counts === undefined ? withCountsOf(active.settings, settings) : withCounts(active.settings, counts);
}

/** Settings with the numbers of instances that others have. */
function withCountsOf(
  settings: EnvironmentSettings,
  { instances, processes }: EnvironmentSettings,
): EnvironmentSettings {
  const { processes: _, ...rest } = settings;
  return { ...rest, instances, ...(processes === undefined ? {} : { processes }) };
}

function takeDown(record: EnvironmentRecord, atMs: number): void {
  const watched = record.watch === null ? undefined : record.releases.get(record.watch.release);
  if (watched !== undefined) {
    watched.proof = "taken back";
    watched.takenBackBecause = "taken down while it was watched";
  }
  record.live = null;
  record.switching = null;
  record.watch = null;
  for (const set of record.sets.values()) retire(set, "the app was taken down", atMs);
  stopTasks(record, "the app was taken down");
}

function environmentOf(state: LedgerState, app: AppName, environment: EnvironmentName): EnvironmentRecord {
  const key = environmentKey(app, environment);
  const known = state.environments.get(key);
  if (known !== undefined) return known;
  const record: EnvironmentRecord = {
    app,
    environment,
    settings: defaultEnvironmentSettings,
    releases: new Map(),
    lastRelease: 0,
    configOrigin: noConfig,
    configVersions: new Map(),
    secrets: new Map(),
    line: [],
    live: null,
    active: null,
    switching: null,
    watch: null,
    quarantined: new Map(),
    sets: new Map(),
    tasks: new Map(),
    taskOrdinals: new Map(),
    revocations: state.revocations,
    trust: state.trust,
    lastRollbackMs: null,
    lastMeasured: null,
  };
  state.environments.set(key, record);
  return record;
}

/**
 * The set of an instance that an event tells of; none later gets its name, whatever ordinals were foretold: what is known of
 * it would be taken for the other's.
 */
function seenSetOf(record: EnvironmentRecord, instance: InstanceName): SetRecord | undefined {
  const parts = splitInstanceName(instance);
  const set = parts === undefined ? undefined : record.sets.get(parts.set);
  const next = parts === undefined ? undefined : set?.nextOrdinal.get(parts.process);
  // Tasks count elsewhere, and have none here.
  if (parts !== undefined && next !== undefined && parts.ordinal >= next)
    set?.nextOrdinal.set(parts.process, parts.ordinal + 1);
  return set;
}
