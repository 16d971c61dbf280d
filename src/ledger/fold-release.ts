import { configDigest } from "../model/config.ts";
import { readWrittenSettings, type Content } from "../model/content.ts";
import { setName, webProcess } from "../model/names.ts";
import type { ConfigOrigin, EventData } from "./event.ts";
import { renewSecrets } from "./secrets.ts";
import { noConfig, noProgress, type EnvironmentRecord, type ReleaseRecord, type SetRecord } from "./state.ts";

type EventOf<Kind extends EventData["kind"]> = Extract<EventData, { kind: Kind }>;

/** When an event happened: on the timeline, and by the time of day. */
export interface Moment {
  readonly atMs: number;
  readonly wallMs: number;
}

export function createRelease(record: EnvironmentRecord, data: EventOf<"release.created">, moment: Moment): void {
  const { atMs } = moment;
  record.releases.set(data.release, releaseRecord(record, data, moment));
  record.lastRelease = data.release;
  record.active = data.release;
  const known = record.sets.get(data.set);
  if (known?.role === "ending" || known?.role === "leaving") {
    // It was started for a rollout that this one superseded, and runs what this one wants.
    known.role = "next";
    known.sinceMs = atMs;
    known.retiredBecause = null;
  }
  if (known === undefined) {
    record.sets.set(data.set, {
      name: data.set,
      app: data.app,
      environment: data.environment,
      release: data.release,
      digest: data.digest,
      content: data.content,
      role: "next",
      count: null,
      sinceMs: atMs,
      retiredBecause: null,
      yieldsTo: null,
      takenBack: false,
      nextOrdinal: new Map(),
      renewedFrom: new Map(),
      condemned: new Map(),
      proven: new Set(),
      crashes: new Map(),
    });
  }
}

/** A deploy that was refused has a number and a content; nothing of it ever was. */
export function refuseRelease(record: EnvironmentRecord, data: EventOf<"release.refused">, moment: Moment): void {
  const set = setName(record.app, record.environment, data.release);
  const created = { ...data, type: "deploy", of: null, automatic: false, set, deadlineMs: 0 } as const;
  record.releases.set(data.release, {
    ...releaseRecord(record, created, moment),
    rollout: "aborted",
    endedAtMs: moment.wallMs,
    failure: data.failure,
  });
  record.lastRelease = data.release;
}

function releaseRecord(
  record: EnvironmentRecord,
  data: Omit<EventOf<"release.created">, "kind">,
  { atMs, wallMs }: Moment,
): ReleaseRecord {
  return {
    number: data.release,
    type: data.type,
    of: data.of,
    automatic: data.automatic,
    digest: data.digest,
    content: data.content,
    set: data.set,
    cause: data.cause,
    createdAtMs: wallMs,
    sinceMs: atMs,
    deadlineMs: data.deadlineMs,
    deadlineAtMs: atMs + data.deadlineMs,
    settings: data.settings === undefined ? null : readWrittenSettings(data.settings),
    configOrigin: data.configOrigin ?? noConfig,
    configVersion: configVersion(record, data.content.config),
    promoted: data.promoted ?? null,
    urgent: data.urgent === true,
    leaves: data.leaves ?? [],
    before: record.live?.release ?? null,
    rollout: "progressing",
    progress: noProgress(atMs),
    proof: null,
    endedAtMs: null,
    elapsedMs: null,
    warm: null,
    failure: null,
    takenBackBecause: null,
    measured: null,
    handoverMs: null,
    snapshots: new Map(),
    tests: data.tests ?? [],
    testResult: null,
    tasks: [],
  };
}

/** Equal configs are one version. */
function configVersion({ configVersions }: EnvironmentRecord, config: Content["config"]): number {
  const digest = configDigest(config);
  const version = configVersions.get(digest) ?? configVersions.size + 1;
  configVersions.set(digest, version);
  return version;
}

/** What is live keeps what it is made of, so that a rollback to it brings that back too. */
export function changeOrigin(record: EnvironmentRecord, origin: ConfigOrigin): void {
  record.configOrigin = origin;
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  const first = live === undefined || live.of === null ? undefined : record.releases.get(live.of);
  if (live !== undefined) live.configOrigin = origin;
  if (first !== undefined) first.configOrigin = origin;
}

export function switchTraffic(
  record: EnvironmentRecord,
  data: EventOf<"traffic.switched">,
  { atMs, wallMs }: Moment,
): void {
  const release = releaseOf(record, data.release);
  const before = record.live;
  release.rollout = "completed";
  release.endedAtMs = wallMs;
  release.elapsedMs = data.elapsedMs;
  release.warm = data.warm;
  release.proof = "watching";
  if (release.type === "rollback") record.lastRollbackMs = data.elapsedMs;
  endQuarantines(record, release);
  record.line = lineAfter(record.line, release);
  record.configOrigin = release.configOrigin;
  record.live = { release: data.release, set: data.set, sinceMs: atMs };
  if (record.active === data.release) record.active = null;
  record.switching = null;
  record.watch = {
    release: data.release,
    startedAtMs: atMs,
    previous: before === null ? null : before.release,
    baseline: data.baseline,
    warned: false,
    held: null,
  };
  const from = before === null ? undefined : record.sets.get(before.set);
  if (from !== undefined && from.name !== data.set) {
    if (from.yieldsTo !== null) release.handoverMs = Math.max(0, atMs - from.yieldsTo.atMs);
    from.role = "warm";
    from.yieldsTo = null;
    from.sinceMs = atMs;
    from.takenBack = release.type === "rollback";
    renewSecrets(record, from);
    // Not all of it is there any more: it would have to be started anew like any other.
    if (from.count !== null) retire(from, `v${data.release} took its instances' place one after the other`, atMs);
  }
  const set = record.sets.get(data.set);
  if (set !== undefined) {
    set.role = "live";
    set.count = null;
    set.sinceMs = atMs;
    set.takenBack = false;
    // Those of rollouts that came to nothing have served for it until now.
    for (const other of record.sets.values())
      if (other.role === "leaving") retire(other, `v${data.release} is live`, atMs);
    // Its workers start anew: what they did when it was live before says nothing about this time.
    for (const process of set.crashes.keys()) if (process !== webProcess) set.crashes.delete(process);
  }
}

/** What proved bad may be tried again once something newer went live. */
function endQuarantines({ quarantined }: EnvironmentRecord, release: ReleaseRecord): void {
  if (release.type !== "deploy") return;
  for (const [digest, { release: shown }] of quarantined) if (shown < release.number) quarantined.delete(digest);
}

/** A deploy appends to the line; a rollback cuts off what comes after its target, or appends a target outside of it. */
function lineAfter(line: readonly number[], release: ReleaseRecord): number[] {
  const at = release.of === null ? -1 : line.indexOf(release.of);
  return at >= 0 ? line.slice(0, at + 1) : [...line, release.of ?? release.number];
}

export function abortRollout(
  record: EnvironmentRecord,
  data: EventOf<"rollout.aborted">,
  { atMs, wallMs }: Moment,
): void {
  const release = releaseOf(record, data.release);
  release.rollout = "aborted";
  release.endedAtMs = wallMs;
  release.failure = data.failure;
  if (record.active === data.release) record.active = null;
  if (record.switching?.release === data.release) record.switching = null;
  const set = record.sets.get(release.set);
  if (set?.role === "next" && data.leaving === true) set.role = "leaving";
  else if (set?.role === "next") retire(set, "its rollout was aborted", atMs);
  // Numbers were its strategy's: what is left of it goes by those of the settings, and by what there is.
  if (release.progress.instances !== null) for (const other of record.sets.values()) other.count = null;
  // What stood back for it comes again.
  for (const other of record.sets.values()) if (other.yieldsTo?.release === data.release) other.yieldsTo = null;
}

export function retire(set: SetRecord, reason: string, atMs: number): void {
  if (set.role === "ending") return;
  set.role = "ending";
  set.yieldsTo = null;
  set.sinceMs = atMs;
  set.retiredBecause = reason;
}

export function releaseOf(record: EnvironmentRecord, number: number): ReleaseRecord {
  const release = record.releases.get(number);
  if (release === undefined)
    throw new Error(`the ledger speaks of v${number} of ${record.app}, which it never created`);
  return release;
}
