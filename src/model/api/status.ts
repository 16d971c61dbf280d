import type { Digest } from "../canonical.ts";
import type { OverrideRow } from "../config.ts";
import type { EnvironmentSettings, Route } from "../content.ts";
import type { AppName, EnvironmentName, InstanceName, ProcessName, SetName } from "../names.ts";
import type { Ping } from "./asked.ts";
import type { ReleaseState } from "./releases.ts";
import type { QuarantinedContent, RolloutStatus } from "./rollouts.ts";
import type { TrustStatus } from "./trust.ts";

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
  /** The release under way that a rollback now would only end, as it is not live yet; what is said here holds of the one after. Absent: none. */
  readonly ends?: number;
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
