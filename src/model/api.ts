/**
 * What travels over the daemon's socket: JSON over HTTP/1.1, paths under /v1. Long work answers with
 * `application/x-ndjson`: progress lines, then one `result` or `error` line.
 *
 *   GET  /v1/ping                                              → Ping
 *   POST /v1/deploy    DeployRequest                           → stream of StreamLine<DeployResult>
 *   POST /v1/plan      DeployRequest                           → DeployPlan
 *   POST /v1/rollback  RollbackRequest                         → stream of StreamLine<DeployResult>
 *   POST /v1/rollout   RolloutRequest                          → stream of StreamLine<RolloutResult>
 *   POST /v1/allow     AllowRequest                            → stream of StreamLine<RolloutResult>
 *   POST /v1/config    ConfigRequest                           → stream of StreamLine<DeployResult | null>
 *   GET  /v1/config?app=&environment=                          → ConfigReport
 *   POST /v1/scale     ScaleRequest                            → stream of StreamLine<{}>
 *   POST /v1/down      DownRequest                             → stream of StreamLine<DownResult>
 *   GET  /v1/status?app=&environment=&at=                      → StatusReport
 *   GET  /v1/releases?app=&environment=                        → ReleaseRow[]
 *   GET  /v1/release?app=&environment=&release=                → ReleaseRow & { content }
 *   POST /v1/secret/set    SecretSetRequest                    → stream of StreamLine<SecretResult>
 *   POST /v1/secret/revoke SecretRevokeRequest                 → stream of StreamLine<SecretResult>
 *   POST /v1/secret/remove SecretRemoveRequest                 → stream of StreamLine<SecretResult>
 *   POST /v1/secret/unlock, /v1/secret/protect  PassphraseRequest → stream of StreamLine<SecretsLock>
 *   GET  /v1/secrets?app=&environment=                         → SecretsReport
 *   POST /v1/secret/check    SecretCheckRequest                → {}, or why a deploy would be refused
 *   GET  /v1/volumes?app=&environment=                         → VolumeRow[]
 *   POST /v1/volume/snapshot VolumeSnapshotRequest             → stream of StreamLine<VolumeResult>
 *   POST /v1/volume/restore  VolumeRestoreRequest              → stream of StreamLine<VolumeResult>
 *   POST /v1/volume/remove   VolumeRemoveRequest               → stream of StreamLine<VolumeResult>
 *   POST /v1/revoke    RevokeRequest                           → stream of StreamLine<RevokeResult>
 *   GET  /v1/revoked                                           → RevokedRow[]
 *   GET  /v1/why?app=&environment=&release=                    → WhyReport of LedgerEvent
 *   GET  /v1/history?app=&environment=&limit=&after=           → LedgerEvent[]
 *   GET  /v1/logs?app=&environment=&instance=&process=&lines=&follow=1 → stream of LogLine
 *   GET  /v1/audit                                             → AuditReport
 *   GET  /v1/ledger                                            → stream of LedgerEvent, all of them
 *   POST /v1/checkpoint                                        → stream of StreamLine<CheckpointReport>
 *   POST /v1/storage   StorageRequest                          → stream of StreamLine<StorageReport>
 *   POST /v1/run       RunRequest                              → stream of RunLine
 *   POST /v1/wait      WaitRequest                             → stream of StreamLine<ReleaseRow>
 *
 * Errors outside streams: status 4xx/5xx and `{ "error": ErrorRecord }`.
 */
import type { ErrorRecord } from "../errors/operator-error.ts";
import type { Digest } from "./canonical.ts";
import type { Config, ConfigOverrides, OverrideRow } from "./config.ts";
import type { Change } from "./difference.ts";
import type { ArtifactOrigin, Content, EnvironmentSettings, Route, RunSettings, TrustMode } from "./content.ts";
import type { StrategyKind } from "./strategy.ts";
import type { TestTask } from "./tasks.ts";
import type { SecretName } from "./secret.ts";
import type { AppName, EnvironmentName, InstanceName, ProcessName, SetName } from "./names.ts";

export interface Ping {
  readonly version: string;
  readonly pid: number;
  readonly uptimeMs: number;
  /** Where the router takes requests, `http://127.0.0.1:8080`. */
  readonly url: string;
}

interface Asked {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  /** Login name of who asks. */
  readonly who: string;
  /** In their words; may be empty. */
  readonly why: string;
}

/** Names one request among all, so that who lost the answer finds what became of it. */
interface Named {
  /** At most 64 characters, made by who asks. */
  readonly request?: string;
}

export interface DeployRequest extends Asked, Named {
  readonly artifact: Digest;
  readonly settings: RunSettings;
  /** What the definition says for this environment; the daemon puts overrides in place. */
  readonly config: Config;
  /** Those that instances are to see; absent: none. */
  readonly secrets?: readonly WantedSecret[];
  readonly environmentSettings: EnvironmentSettings;
  /** What the artifact has to pass first; absent: nothing. */
  readonly tests?: readonly TestTask[];
  /** The environment before this one: refused unless the artifact was proven there. */
  readonly from?: EnvironmentName;
  /** Refused unless the artifact is what is live there now. */
  readonly promote?: boolean;
  readonly commit?: string;
}

/** What a deploy would do now; nothing is changed. */
export interface DeployPlan {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  /** Number it would get. */
  readonly release: number;
  /** The release that is live; null: none. */
  readonly live: number | null;
  readonly strategy: StrategyKind;
  /** Why it is another strategy than was asked for; absent: it is not. */
  readonly because?: string;
  /** `none`: this content is live already; `first`: nothing is live; `stop-first`: what is live ends before it starts. */
  readonly way: "none" | "first" | "stop-first" | "steps";
  /** In order; the last one is the switch. Empty where there is nothing to do. */
  readonly steps: readonly PlannedStep[];
  /** How long the replaced content stands by for a rollback, in ms; 0: not at all. */
  readonly keepWarmMs: number;
  /** Volumes for which what is live ends first. */
  readonly stopsFor: readonly string[];
}

/** One step of a rollout that goes well. */
export interface PlannedStep {
  /** From 1; null: the switch. */
  readonly step: number | null;
  /** `web` instances of what comes and of what is live. */
  readonly coming: number;
  readonly live: number;
  /** Share of the requests that what comes has, in 1/10000. */
  readonly weight: number;
  /** Time that it is held at least before the next step, in ms; null: until a person resumes. */
  readonly holdMs: number | null;
  /** Whether what it answers is judged before the next step. */
  readonly analyse: boolean;
}

/** Changes the rollout under way. */
export interface RolloutRequest extends Asked {
  /** `complete`: its remaining steps are left out, and it is waited for until it is live. */
  readonly action: "pause" | "resume" | "complete" | "abort";
}

/** Lets the content of a release be deployed again that proved bad. */
export interface AllowRequest extends Asked {
  readonly release: number;
}

/** What came of either. */
export interface RolloutResult {
  readonly release: number;
  readonly digest: Digest;
  readonly state: ReleaseState;
  /** False: it was so already. */
  readonly changed: boolean;
  /** The release that is live; null: none. */
  readonly serving: number | null;
  /** The newest step that was reached, from 1, and its share of the requests in 1/10000. */
  readonly step: number;
  readonly weight: number;
}

/** Runs a command in a one-off instance. */
export interface RunRequest extends Asked {
  readonly command: readonly string[];
  /** Release whose content it is; absent: the live one. */
  readonly release?: number;
  /** Process whose resources and volumes it has; absent: `web`. */
  readonly like?: string;
  /** Names it among all, so that who lost the answer goes on with the same command. */
  readonly request: string;
  /** Lines of its output that the caller has already, for one who asks again. */
  readonly seen: number;
}

/** Lines of the answer to `RunRequest`: what it writes, and what came of it. */
export type RunLine =
  | { readonly kind: "started"; readonly instance: InstanceName; readonly release: number }
  | { readonly kind: "output"; readonly line: LogLine }
  | { readonly kind: "result"; readonly result: RunResult }
  | { readonly kind: "error"; readonly error: ErrorRecord };

export interface RunResult {
  readonly instance: InstanceName;
  readonly release: number;
  /** Exit status; null unless it exited and was seen to. */
  readonly status: number | null;
  /** How it ended, in words. */
  readonly finding: string;
}

/** A secret that a definition lists. */
export interface WantedSecret {
  readonly name: SecretName;
  /** Also as an environment variable. */
  readonly variable: boolean;
  /** In base64, where the definition says where it comes from; absent: the version that is kept. */
  readonly value?: string;
}

/** What tells why a release came to what it is. */
export interface WhyReport<Event> {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly release: number;
  /** Decisions with their inputs, and what people did about it; oldest first. */
  readonly events: readonly Event[];
}

export interface SecretSetRequest extends Asked, Named {
  readonly name: SecretName;
  /** In base64. */
  readonly value: string;
  /** A new version of one that is there, and a release with it; else its first. */
  readonly rotate: boolean;
}

export interface SecretRevokeRequest extends Asked, Named {
  readonly name: SecretName;
  /** Absent: all versions but the current one. */
  readonly version?: number;
}

export interface SecretRemoveRequest extends Asked {
  readonly name: SecretName;
  /** Also where releases that a rollback can reach need it. */
  readonly yes: boolean;
}

/** Whether a deploy would find the values of secrets that it brings none of. */
export interface SecretCheckRequest {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly secrets: readonly WantedSecret[];
}

export interface SecretResult {
  readonly name: SecretName;
  /** The current version now; null: there is none any more. */
  readonly version: number | null;
  /** False: it was so already. */
  readonly changed: boolean;
  /** The release that took it; null: nothing had to. */
  readonly release: DeployResult | null;
}

export interface SecretRow {
  readonly name: SecretName;
  readonly current: number;
  readonly versions: readonly {
    readonly version: number;
    readonly who: string;
    readonly why: string;
    readonly atMs: number;
    readonly revoked: boolean;
    /** Releases that see it and that a rollback can reach, newest first. */
    readonly releases: readonly number[];
    /** The one of them that is live; null: none is. */
    readonly live: number | null;
  }[];
}

export interface SecretsReport {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  /** Nothing can be read until `bronze secret unlock`. */
  readonly locked: boolean;
  readonly secrets: readonly SecretRow[];
}

export interface PassphraseRequest {
  /** null, of protect only: none from now on. */
  readonly passphrase: string | null;
}

export interface SecretsLock {
  readonly locked: boolean;
}

export interface RollbackRequest extends Asked, Named {
  /** Release to go back to; absent: the nearest earlier proven one. */
  readonly to?: number;
}

/** Changes of overrides, all in one release. A null result: nothing is live, they are kept for what comes first. */
export interface ConfigRequest extends Asked, Named {
  /** null: the variable is absent, whatever the definition says. */
  readonly set?: ConfigOverrides;
  /** Overrides that end. */
  readonly unset?: readonly string[];
  readonly unsetAll?: boolean;
}

export interface ConfigReport {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  /** What is live; null: nothing, and this is kept for what comes first. */
  readonly release: number | null;
  /** Number of this config in its environment. */
  readonly version: number | null;
  /** What instances see. */
  readonly config: Config;
  readonly overrides: readonly OverrideRow[];
}

/** Numbers that are not named stay as they are; at least one is. */
export interface ScaleRequest extends Asked {
  /** Of `web`. */
  readonly instances?: number;
  /** Of each other process that is named. */
  readonly processes?: { readonly [process: string]: number };
}

export interface VolumeSnapshotRequest extends Asked {
  readonly volume: string;
  /** Absent: named by the moment. */
  readonly snapshot?: string;
}

export interface VolumeRestoreRequest extends Asked {
  readonly volume: string;
  /** Absent: the newest. */
  readonly snapshot?: string;
  /** Name of the new volume; absent: the old one's and the moment. */
  readonly as?: string;
}

export interface VolumeRemoveRequest extends Asked {
  readonly volume: string;
  /** Absent: the volume with all its snapshots. */
  readonly snapshot?: string;
  readonly yes: boolean;
}

/** What was made or removed. */
export interface VolumeResult {
  readonly volume: string;
  readonly snapshot: string | null;
  readonly way: CopyWay;
  readonly path: string;
  /** It was written to meanwhile, and its files are not all of one moment. */
  readonly torn: boolean;
}

/**
 * How a volume is copied: a subvolume of btrfs and files that share their extents (xfs, btrfs) cost no time or room for
 * the bytes in them, a plain copy costs both.
 */
export type CopyWay = "subvolume" | "reflink" | "copy";

export interface SnapshotRow {
  readonly name: string;
  readonly createdAtMs: number;
  /** The release it was made before; null: a person asked for it. */
  readonly release: number | null;
}

/** A volume as `bronze volume list` shows it. */
export interface VolumeRow {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly name: string;
  /** Folder on the daemon's machine. */
  readonly path: string;
  readonly createdAtMs: number;
  readonly way: CopyWay;
  /** The volume and snapshot it was made from; null: it began empty. */
  readonly from: { readonly name: string; readonly snapshot: string } | null;
  /** On its disk, shared bytes counted too; null: not counted. */
  readonly bytes: number | null;
  /** Oldest first. */
  readonly snapshots: readonly SnapshotRow[];
  readonly attachedTo: readonly InstanceName[];
  /** Releases that name it: those that run, and those that a rollback can reach. */
  readonly releases: readonly string[];
}

/** Of an artifact, or an image that artifacts are made from, whether the store has it or not. */
export interface RevokeRequest extends Omit<Asked, "app" | "environment"> {
  readonly artifact: Digest;
  /** The revocation is lifted. */
  readonly undo?: boolean;
}

/** Whether what is live was verified, and what its environment wants of it. */
export interface TrustStatus {
  readonly mode: TrustMode;
  readonly origin: ArtifactOrigin;
  /** What is missing or wrong, each in words; empty: it is verified. */
  readonly reasons: readonly string[];
  /** Why it may not be released again, in words; null: it is not revoked, nor what it was made from. */
  readonly revoked: string | null;
}

export interface RevokeResult {
  readonly artifact: Digest;
  /** False: it was so already. */
  readonly changed: boolean;
  /** Artifacts of the store that were made from it, nearest first, each with the way there. */
  readonly blocked: readonly { readonly artifact: Digest; readonly chain: readonly Digest[] }[];
  /** What runs of it, or of what was made from it. */
  readonly running: readonly RevokedRunning[];
}

export interface RevokedRunning {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly release: number;
  readonly live: boolean;
  readonly artifact: Digest;
  /** Why it is blocked, in words. */
  readonly reason: string;
  readonly instances: readonly InstanceName[];
  /** In words. */
  readonly becomes: string;
}

export interface RevokedRow {
  readonly artifact: Digest;
  readonly reason: string;
  readonly who: string;
  readonly atMs: number;
  /** Releases that it blocks, of all environments: `shop production v3`. */
  readonly releases: readonly string[];
}

export interface DownRequest extends Omit<Asked, "app" | "environment"> {
  readonly app?: AppName;
  readonly environment?: EnvironmentName;
  readonly all?: boolean;
}

export interface DownResult {
  /** Process id of the daemon when it ends too, since nothing is up any more; all is gone when that process is. */
  readonly endingPid: number | null;
}

/** Waits until a release is proven or taken back. */
export interface WaitRequest {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly release: number;
}

export interface DeployResult {
  readonly release: number;
  /** The earlier release whose content this is, for a rollback. */
  readonly of: number | null;
  /** False: that content was live already and no release was made. */
  readonly created: boolean;
  /** The release whose rollout was ended by a rollback before it had traffic; what was live stays so. */
  readonly ended?: number;
  readonly digest: Digest;
  readonly state: ReleaseState;
  readonly watchMs: number;
  readonly elapsedMs: number;
  readonly warm: boolean;
  /** Where clients reach it; null: it has no route. */
  readonly url: string | null;
  /** Overrides of the definition's config that are in effect. */
  readonly overrides: readonly OverrideRow[];
  /** Releases whose commands it does not undo, as they are not reversible; absent: none. */
  readonly leaves?: readonly number[];
}

/** Lines of a stream, in order; the last is `result` or `error`. */
export type StreamLine<Result> =
  | {
      readonly kind: "progress";
      readonly atMs: number;
      readonly step: string;
      readonly text: string;
      readonly instance?: InstanceName;
    }
  | { readonly kind: "result"; readonly result: Result }
  | { readonly kind: "error"; readonly error: ErrorRecord };

export type RolloutState = "pending" | "progressing" | "paused" | "completed" | "aborted" | "rolled back";
/** A rollout's state until it is completed, the release's own after. */
export type ReleaseState = Exclude<RolloutState, "completed"> | "watching" | "proven" | "taken back";

export interface ReleaseRow {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly release: number;
  readonly of: number | null;
  readonly type: "deploy" | "rollback";
  readonly automatic: boolean;
  readonly state: ReleaseState;
  readonly live: boolean;
  readonly digest: Digest;
  readonly artifact: Digest;
  readonly who: string;
  readonly why: string;
  readonly commit: string | null;
  /** Name of the request that made it, where it had one. */
  readonly request: string | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  readonly elapsedMs: number | null;
  readonly warm: boolean | null;
  /** Why it was aborted or taken back. */
  readonly failure: string | null;
  /** The release by which its artifact was proven in the environment before; null: there is none before. */
  readonly promoted: Promotion | null;
  /** Releases that it went back behind, though their commands ran and are not reversible; absent: behind none. */
  readonly leaves?: readonly number[];
  /** Why its artifact may not be released again, in words: it is revoked, or was made from what is. Absent: nothing is in the way. */
  readonly revoked?: string;
  /** What it changed about what was live when it was asked for; null: nothing was. */
  readonly changes: ReleaseChanges | null;
  readonly content?: Content;
}

/** A release of the environment before. */
export interface Promotion {
  readonly environment: EnvironmentName;
  readonly release: number;
}

/** What a release changed, by name. */
export interface ReleaseChanges {
  /** The release that was live. */
  readonly against: number;
  readonly artifact: boolean;
  readonly config: readonly string[];
  /** Versions. */
  readonly secrets: readonly Change<number>[];
  /** Paths, `resources.memoryBytes`. */
  readonly settings: readonly string[];
}

export interface InstanceStatus {
  readonly name: InstanceName;
  readonly set: SetName;
  readonly process: ProcessName;
  readonly release: number;
  readonly role: "live" | "next" | "warm" | "leaving" | "ending";
  readonly health: "starting" | "healthy" | "unhealthy" | "unknown" | "exited";
  readonly address: string | null;
  readonly pid: number | null;
  readonly ageMs: number;
  readonly probedAgoMs: number | null;
  readonly drift: readonly string[];
  /** What it wrote to places that end with it; empty: nothing, or it is not looked for. */
  readonly unkept: readonly UnkeptPlace[];
}

/** A place in an instance whose files are lost with it: a tmpfs. */
export interface UnkeptPlace {
  readonly path: string;
  readonly bytes: number;
  readonly files: number;
}

/** What it costs to replace a content that has a volume which only one may have: what is live ends first. */
export interface StopFirst {
  /** Names of the volumes. */
  readonly volumes: readonly string[];
  /** Longest time its requests in flight may take. */
  readonly drainMs: number;
  /** How long requests waited at the newest such rollout; null: there was none. */
  readonly lastMs: number | null;
  /** The release that it stands back for right now; null: none. */
  readonly yieldsTo: number | null;
}

/** A process without traffic of what is live. */
export interface WorkerStatus {
  readonly process: ProcessName;
  readonly wanted: number;
  /** Instances that have a process, however short. */
  readonly running: number;
  /** Those that have run for long enough. */
  readonly healthy: number;
}

/** A one-off instance under way. */
export interface TaskStatus {
  readonly instance: InstanceName;
  readonly release: number;
  readonly command: readonly string[];
  readonly sinceMs: number;
  /** Null: it may take as long as it likes. */
  readonly deadlineInMs: number | null;
  /** Who asked for it; null: its rollout did. */
  readonly who: string | null;
}

export interface RollbackReadiness {
  /** Release a rollback would go to; null: nothing to go to. */
  readonly target: number | null;
  readonly warm: number;
  readonly wanted: number;
  /** Processes without traffic: never warm, they start at the switch. */
  readonly workers: readonly { readonly process: ProcessName; readonly count: number }[];
  readonly probedAgoMs: number | null;
  readonly lastMeasuredMs: number | null;
  /** Warm and probed in the last 2 s: a rollback takes milliseconds. */
  readonly ready: boolean;
  readonly withinMs: number | null;
  /** Why it would be refused, in words: its evidence does not hold any more. Absent: it would not. */
  readonly refused?: string;
  /** Volumes that only one may have, for which what is live ends before what comes back starts. */
  readonly stopsFor: readonly string[];
  /** Releases whose commands it would not undo, as they are not reversible. */
  readonly leaves: readonly number[];
  /** False when what is warm cannot keep `within`. */
  readonly promiseKept: boolean;
}

/** The four figures of the field; null where nothing was measured. */
export interface Figures {
  readonly availability_during_deploy_pct: number | null;
  readonly deploy_rollback_time_ms: number | null;
  readonly config_drift_pct: number | null;
  readonly instance_age_hours: number | null;
}

/** A rollout under way. Weights are in 1/10000 of the requests. */
export interface RolloutStatus {
  readonly release: number;
  readonly of: number | null;
  readonly type: "deploy" | "rollback";
  readonly strategy: StrategyKind;
  /** Why it is another strategy than was asked for; null: it is not. */
  readonly because: string | null;
  readonly healthy: number;
  readonly wanted: number;
  readonly sinceMs: number;
  readonly deadlineInMs: number;
  /** The newest step that was reached, from 1; 0: none yet. */
  readonly step: number;
  /** How many the strategy has; null: as many as it takes. */
  readonly steps: number | null;
  /** What the release is to have at its step. */
  readonly weight: number;
  /** Oldest first: what serves, and what comes. */
  readonly sets: readonly RolloutSet[];
  /** Time until the step is over; null: no time ends it. */
  readonly holdLeftMs: number | null;
  readonly paused: {
    readonly by: "plan" | "person" | "analysis";
    readonly reason: string;
    readonly forMs: number;
    /** Then it is ended. */
    readonly endsInMs: number;
  } | null;
  /** Its remaining steps are left out. */
  readonly hurried: boolean;
  /** Absent: nothing is measured. */
  readonly analysis?: AnalysisStatus;
}

/** What was measured at the step that was reached. */
export interface AnalysisStatus {
  /** What is live failed itself. */
  readonly skipped: boolean;
  /** How often the step was made longer, as too little could be measured. */
  readonly extended: number;
  readonly metrics: readonly {
    readonly name: string;
    readonly phase: "running" | "successful" | "failed" | "inconclusive" | "error";
    readonly measured: number;
    /** The newest measurement in words; empty: there is none. */
    readonly last: string;
  }[];
}

export interface RolloutSet {
  readonly release: number;
  readonly role: InstanceStatus["role"];
  /** `web` instances that are ready, of those it has. */
  readonly ready: number;
  readonly instances: number;
  /** What the router gives it; null: it has no route, or nobody knows any more. */
  readonly weight: number | null;
}

export interface QuarantinedContent {
  readonly digest: Digest;
  /** The release that showed it. */
  readonly release: number;
  readonly reason: string;
  readonly sinceMs: number;
}

export interface EnvironmentStatus {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly route: Route | null;
  /** Where clients reach it; null: it has no route. */
  readonly url: string | null;
  readonly settings: EnvironmentSettings;
  readonly live: {
    readonly release: number;
    readonly of: number | null;
    readonly digest: Digest;
    readonly artifact: Digest;
    readonly state: ReleaseState;
    /** How long it has been live. */
    readonly sinceMs: number;
    readonly watchEndsInMs: number | null;
  } | null;
  /** Of what is live; null: nothing is, or nobody has looked at it yet. */
  readonly trust: TrustStatus | null;
  /** Overrides of the definition's config that are in effect, or are kept for what comes first. */
  readonly overrides: readonly OverrideRow[];
  readonly rollout: RolloutStatus | null;
  /** Contents that proved bad here; nothing puts them live until a newer release went live, or a person allows it. */
  readonly quarantined: readonly QuarantinedContent[];
  /** One-off instances under way. */
  readonly tasks: readonly TaskStatus[];
  /** Of `web`. */
  readonly wanted: number;
  readonly healthy: number;
  readonly workers: readonly WorkerStatus[];
  readonly instances: readonly InstanceStatus[];
  /** Null: what comes starts beside what is live. */
  readonly stopFirst: StopFirst | null;
  readonly rollback: RollbackReadiness;
  readonly figures: Figures;
  readonly warnings: readonly string[];
}

export interface StatusReport {
  readonly daemon: Ping;
  /** The moment the report is about, ms since the epoch. */
  readonly atMs: number;
  readonly environments: readonly EnvironmentStatus[];
  /** What is not as it should be with disk and stored bytes; absent for a status of the past. */
  readonly storage?: readonly string[];
}

export interface LogLine {
  readonly instance: InstanceName;
  /** RFC 3339 with nanoseconds, as written. */
  readonly at: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** Hashes everything that is stored and looks for leftovers. */
export interface StorageRequest {
  /** Also mends what can be mended; otherwise nothing is changed. */
  readonly mend: boolean;
}

/** Something about what is stored that is not as it should be. */
export interface StorageFinding {
  readonly kind: "ledger" | "projections" | "blob" | "image" | "leftover";
  readonly subject: string;
  readonly finding: string;
  /** What `bronze doctor --repair` does about it; null: a person has to act. */
  readonly repair: string | null;
  /** It was mended by this very request. */
  readonly mended: boolean;
  /** What a person does; null: nothing. */
  readonly advice: string | null;
}

export interface StorageReport {
  /** Nothing is wrong, or everything that was is mended. Leftovers alone harm nothing. */
  readonly ok: boolean;
  /** Blobs and images that were hashed. */
  readonly files: number;
  readonly bytes: number;
  readonly events: number;
  readonly findings: readonly StorageFinding[];
}

export interface AuditReport {
  readonly events: number;
  readonly head: Digest;
  readonly ok: boolean;
  /** The first event that does not hold. */
  readonly damage: { readonly seq: number; readonly finding: string } | null;
  /** Whether the projections equal a fresh fold of the events. */
  readonly projectionsEqual: boolean;
}

/** A signed checkpoint of the ledger. */
export interface CheckpointReport {
  /** Number of the last event that it is about, and its digest. */
  readonly sequence: number;
  readonly head: Digest;
  /** ISO 8601. */
  readonly at: string;
  /** Id of the key that signed it. */
  readonly key: string;
  /** As it is kept: the line of a file of checkpoints. */
  readonly entry: string;
  /** False: nothing happened since the last one, which this is. */
  readonly isNew: boolean;
}
