import type { Promotion, ReleaseState } from "../model/api/releases.ts";
import type { Digest } from "../model/canonical.ts";
import type { ArtifactOrigin, Content, EnvironmentSettings } from "../model/content.ts";
import type { AppName, EnvironmentName, InstanceName, ProcessName, SetName } from "../model/names.ts";
import type { TaskEnd, TestTask } from "../model/tasks.ts";
import type { SecretName } from "../model/secret.ts";
import type { Crashes } from "./crashes.ts";
import type { Cause, CondemnType, ConfigOrigin, Failure, PausedBy } from "./event.ts";
import { noRevocations, type Revocations } from "./revocations.ts";
import type { SecretRecord } from "./secrets.ts";
import { timelineStart, type Timeline } from "./timeline.ts";

/** A release as the ledger tells it. */
export interface ReleaseRecord {
  readonly number: number;
  readonly type: "deploy" | "rollback";
  /** The release whose content this is, for a rollback. */
  readonly of: number | null;
  readonly automatic: boolean;
  readonly digest: Digest;
  readonly content: Content;
  readonly set: SetName;
  readonly cause: Cause;
  /** Time of day. */
  readonly createdAtMs: number;
  readonly sinceMs: number;
  /** Longest time its rollout may take; a reboot gives it that time again. */
  readonly deadlineMs: number;
  deadlineAtMs: number;
  /** Settings that come into effect at its switch; null: they stay as they are. */
  settings: EnvironmentSettings | null;
  /** What its config is made of, as it was when it was last live. */
  configOrigin: ConfigOrigin;
  /** Number of its config: 1, 2, … in the order in which an environment's configs first came. */
  readonly configVersion: number;
  /** The release by which its artifact was proven in the environment before. */
  readonly promoted: Promotion | null;
  /** It goes live at once, whatever the strategy. */
  readonly urgent: boolean;
  /** Releases that it goes back behind, though their commands ran and are not reversible. */
  readonly leaves: readonly number[];
  /** The release that was live when it was asked for; null: none. */
  readonly before: number | null;
  rollout: "progressing" | "completed" | "aborted";
  /** How far its strategy has come; it stays as it was when the rollout ended. */
  progress: RolloutProgress;
  /** After the switch. */
  proof: "watching" | "proven" | "taken back" | null;
  /** Time of day. */
  endedAtMs: number | null;
  elapsedMs: number | null;
  warm: boolean | null;
  failure: Failure | null;
  takenBackBecause: string | null;
  measured: { readonly requests: number | null; readonly failed: number | null } | null;
  /** Tests that its artifact has to pass first; empty: none, or passed before. */
  readonly tests: readonly TestTask[];
  /** Manifest in the store that says its tests passed; null: not all have. */
  testResult: Digest | null;
  /** How long nothing answered before its switch, as it got a volume that only one may have, in ms; null: not at all. */
  handoverMs: number | null;
  /** Snapshots made before it, by volume; null: there was no such volume yet. */
  readonly snapshots: Map<string, string | null>;
  /** Tasks and checks of its rollout that came to an end, in order. */
  readonly tasks: TaskResult[];
}

/** How far a rollout has come by its strategy. */
export interface RolloutProgress {
  /** The newest that was reached, from 1; 0: none yet. */
  readonly step: number;
  /** Share of the requests that it is to have, in 1/10000. */
  readonly weight: number;
  /** Since when it is at this step; time that it was paused is left out. */
  readonly sinceMs: number;
  readonly paused: { readonly sinceMs: number; readonly by: PausedBy; readonly reason: string } | null;
  /** The remaining steps are left out. */
  readonly hurried: boolean;
  /** Whether what it answers is analysed; null: it was not decided yet. */
  readonly analysis: "on" | "skipped" | null;
  /** How often its step was made longer, as too little could be measured. */
  readonly extended: number;
  /** The newest step that a person let it go on from; -1: none. */
  readonly cleared: number;
  /** Of a rolling rollout: how many instances were wanted in all when its sets got their numbers; null: they have none yet. */
  readonly instances: number | null;
}

/** Of a rollout that begins. */
export function noProgress(atMs: number): RolloutProgress {
  return {
    step: 0,
    weight: 0,
    sinceMs: atMs,
    paused: null,
    hurried: false,
    analysis: null,
    extended: 0,
    cleared: -1,
    instances: null,
  };
}

/** What came of a task or check of a rollout. */
export interface TaskResult {
  readonly process: ProcessName;
  readonly index: number;
  readonly instance: InstanceName;
  readonly passed: boolean;
  readonly elapsedMs: number;
}

/** A one-off instance outside traffic. */
export interface TaskRecord {
  readonly instance: InstanceName;
  readonly process: ProcessName;
  readonly ordinal: number;
  /** The release whose rollout it is part of, or whose content it runs. */
  readonly release: number;
  readonly index: number;
  readonly command: readonly string[];
  readonly like: ProcessName;
  /** When it got its process; until then, when it was recorded. */
  startedAtMs: number;
  /** Longest time it may take from then on, in ms; null: as long as it likes. */
  readonly deadlineMs: number | null;
  /** Who asked for it; null: its rollout did. */
  readonly cause: Cause | null;
  /** It had a process. */
  running: boolean;
  /** The machine went away under it: what it did, and whether to the end, nobody knows. */
  lost: boolean;
  /** Why it is to be ended; null: it may go on. */
  stop: string | null;
  ended: { readonly how: TaskEnd; readonly code: number | null; readonly reason: string | null } | null;
}

/** The instances one release created, and what they are for now. */
export interface SetRecord {
  readonly name: SetName;
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly release: number;
  /** Of a set that stands by they change when one of its secrets ends. */
  digest: Digest;
  content: Content;
  /** `leaving`: of a rolling rollout that was ended; it serves until what is live is whole again. */
  role: "next" | "live" | "warm" | "leaving" | "ending";
  /** How many `web` instances a rolling rollout lets it have; null: as many as the settings say. */
  count: number | null;
  /** When it left traffic; for warm and ending ones. */
  sinceMs: number;
  retiredBecause: string | null;
  /** The release whose rollout it stands back for, as both want a volume that only one may have; null: none. */
  yieldsTo: { readonly release: number; readonly atMs: number } | null;
  /** A rollback went away from it: never kept warm. */
  takenBack: boolean;
  /** Next ordinal of each process that has had an instance; 1 where it has had none. */
  readonly nextOrdinal: Map<ProcessName, number>;
  /** Instances with ordinals below these run the content from before a secret ended. */
  readonly renewedFrom: Map<ProcessName, number>;
  /** Instances that are to be replaced or ended, and since when. */
  readonly condemned: Map<InstanceName, { readonly atMs: number; readonly type: CondemnType; readonly reason: string }>;
  /** Instances that have been healthy. */
  readonly proven: Set<InstanceName>;
  /** Crashes of each process that had any lately. */
  readonly crashes: Map<ProcessName, Crashes>;
}

/** The ordinal that the next instance of a process gets. */
export function nextOrdinalOf(set: SetRecord, process: ProcessName): number {
  return set.nextOrdinal.get(process) ?? 1;
}

/** A release under watch. */
export interface WatchRecord {
  readonly release: number;
  readonly startedAtMs: number;
  /** The release whose content it replaced; null: a first deploy. */
  readonly previous: number | null;
  readonly baseline: { readonly requests: number; readonly errors: number };
  warned: boolean;
  /** Its rule fired and a person has to decide; null: it did not. */
  held: { readonly to: number; readonly reason: string } | null;
}

/** Why a content is not put live. */
export interface Quarantine {
  /** The release that showed it. */
  readonly release: number;
  readonly reason: string;
  readonly sinceMs: number;
}

/** One app in one environment, folded from the ledger. */
export interface EnvironmentRecord {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  settings: EnvironmentSettings;
  readonly releases: Map<number, ReleaseRecord>;
  lastRelease: number;
  /** What the config of what is live is made of, or of what comes first. */
  configOrigin: ConfigOrigin;
  /** Number of each config by its digest. */
  readonly configVersions: Map<Digest, number>;
  /** Also those that have been removed. */
  readonly secrets: Map<SecretName, SecretRecord>;
  /** Releases whose contents a rollback can reach, oldest first; the last is what is live. */
  line: number[];
  live: { readonly release: number; readonly set: SetName; readonly sinceMs: number } | null;
  /** Release whose rollout is under way. */
  active: number | null;
  /** The intent to switch, until its result is known. */
  switching: { readonly release: number; readonly set: SetName; readonly from: SetName | null } | null;
  watch: WatchRecord | null;
  /** Contents that proved bad. */
  readonly quarantined: Map<Digest, Quarantine>;
  readonly sets: Map<SetName, SetRecord>;
  /** Tasks that have not ended, and the newest of those that people asked for. */
  readonly tasks: Map<InstanceName, TaskRecord>;
  /** Next ordinal of a task, by set and process. */
  readonly taskOrdinals: Map<string, number>;
  /** Of the whole state. */
  readonly revocations: Revocations;
  /** Of the whole state: what was decided last about each artifact. */
  readonly trust: ReadonlyMap<Digest, TrustRecord>;
  /** Duration of the newest rollback, in ms. */
  lastRollbackMs: number | null;
  /** Newest measurement of requests during a rollout. */
  lastMeasured: { readonly requests: number; readonly failed: number } | null;
}

/** Whether an artifact was verified, and by which key log. */
export interface TrustRecord {
  readonly origin: ArtifactOrigin;
  readonly keyLog: Digest | null;
  /** What is missing or wrong, each in words; empty: it is verified. */
  readonly reasons: readonly string[];
}

/** The network of an environment's instances: all apps of it share one, and nobody else has it. */
export interface NetworkRecord {
  readonly subnet: string;
  readonly number: number;
}

/** All state there is; a fold of the ledger. Its moments are on the ledger's timeline, where not said otherwise. */
export interface LedgerState {
  readonly environments: Map<string, EnvironmentRecord>;
  /** diff id of a layer → sha256 of the image made from it. */
  readonly layerImages: Map<Digest, Digest>;
  /** Tests that each artifact passed, by the digest of their list, and the manifest in the store that says so. */
  readonly passedTests: Map<Digest, Map<Digest, Digest>>;
  readonly revocations: Revocations;
  /** What was decided last about each artifact. */
  readonly trust: Map<Digest, TrustRecord>;
  /** Blobs that were found damaged and set aside; the store may have them whole again. */
  readonly damagedBlobs: Map<Digest, string>;
  /** Of the network that all environments shared in earlier versions. */
  subnet: string | null;
  readonly networks: Map<EnvironmentName, NetworkRecord>;
  readonly timeline: Timeline;
  seq: number;
}

export function emptyState(): LedgerState {
  return {
    environments: new Map(),
    layerImages: new Map(),
    passedTests: new Map(),
    revocations: noRevocations(),
    trust: new Map(),
    damagedBlobs: new Map(),
    subnet: null,
    networks: new Map(),
    timeline: { ...timelineStart },
    seq: 0,
  };
}

/** Nothing is configured. */
export const noConfig: ConfigOrigin = { defined: {}, overrides: {} };

/** Keys are asked for all the time, and few are there: a text that is put together anew is hashed anew. */
const keys = new Map<EnvironmentName, Map<AppName, string>>();
const mostKeys = 1_000;

/** Key of an environment in the state's map. */
export function environmentKey(app: AppName, environment: EnvironmentName): string {
  let own = keys.get(environment);
  const known = own?.get(app);
  if (known !== undefined) return known;
  const key = `${app}/${environment}`;
  if (own === undefined || own.size >= mostKeys) {
    if (keys.size >= mostKeys) keys.clear();
    keys.set(environment, (own = new Map()));
  }
  own.set(app, key);
  return key;
}

/** The settings a set is held to: those that the release under way brings for its own set, else those in effect. */
export function settingsFor(record: EnvironmentRecord, set: SetName): EnvironmentSettings {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return active?.set === set ? (active.settings ?? record.settings) : record.settings;
}

/** Whether requests come to a set by the router, or are to. */
export function isRouted(record: EnvironmentRecord, set: SetName): boolean {
  return settingsFor(record, set).route !== null;
}

/** What the config is made of that the next release begins from: of the release under way, else of what is live. */
export function configOriginInEffect(record: EnvironmentRecord): ConfigOrigin {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return active?.configOrigin ?? record.configOrigin;
}

/** The ordinal that the next task of a process gets; those of a set that was removed are not used again. */
export function nextTaskOrdinal(record: EnvironmentRecord, set: SetName, process: ProcessName): number {
  return record.taskOrdinals.get(`${set} ${process}`) ?? 1;
}

/** A release's state in one word, for people and the API. */
export function releaseState(release: ReleaseRecord): ReleaseState {
  if (release.rollout === "progressing" && release.progress.paused !== null) return "paused";
  if (release.rollout === "progressing" || release.rollout === "aborted") return release.rollout;
  return release.proof ?? "watching";
}
