import type { ErrorCode } from "../errors/codes.ts";
import type { Promotion } from "../model/api/releases.ts";
import type { Digest, Json } from "../model/canonical.ts";
import type { Config, ConfigOverrides } from "../model/config.ts";
import type { ArtifactOrigin, Content, TrustMode, WrittenSettings } from "../model/content.ts";
import type { AppName, EnvironmentName, InstanceName, ProcessName, SetName } from "../model/names.ts";
import type { Counts } from "../model/processes.ts";
import type { SecretName } from "../model/secret.ts";
import type { TaskEnd, TestTask } from "../model/tasks.ts";
import type { ReplacedSecret } from "./secrets.ts";

/** Which environment an event is about. */
interface InEnvironment {
  readonly app: AppName;
  readonly environment: EnvironmentName;
}

/** Who asked for something, and why: words from outside, bounded, printed as they are. */
export interface Cause {
  readonly who: string;
  readonly why: string;
  /** Source commit, where the definition came from version control. */
  readonly commit?: string;
  /** Name of the request, by which its caller finds the release again. */
  readonly request?: string;
}

/** What an environment's config is made of. */
export interface ConfigOrigin {
  /** What the definition said. */
  readonly defined: Config;
  /** What `bronze config` put in its place. */
  readonly overrides: ConfigOverrides;
}

/** Why a rollout did not come through. */
export interface Failure {
  /** The error a waiting caller gets. */
  readonly code: ErrorCode;
  /** One plain sentence. */
  readonly summary: string;
  readonly hint: string;
  /** Last response, exit status, last log lines: what a person wants to see first. */
  readonly evidence: readonly string[];
}

/** Requests and 5xx in a window; null baseline: the old content had none. */
export interface WatchFigures {
  readonly requests: number;
  readonly errors: number;
  readonly baselineRequests: number;
  readonly baselineErrors: number;
}

/**
 * Why an instance is to go: fails its probes, never passed one, differs from its content, one too many, lost its
 * supervisor, one of its secrets has ended, works for a content that is not live.
 */
export type CondemnType = "unhealthy" | "late" | "drift" | "surplus" | "broken" | "secret" | "idle" | "yields";

/** Who makes a rollout stand still: a step that waits for a person, a person, or an analysis that cannot tell. */
export type PausedBy = "plan" | "person" | "analysis";

/** How many `web` instances a set is to have. */
export interface SetCount {
  readonly set: SetName;
  readonly count: number;
}

/** What was decided about an artifact, and by what: another policy or key log may decide otherwise. */
export interface TrustDecision {
  readonly artifact: Digest;
  readonly mode: TrustMode;
  /** `built`: on this machine, by Bronze. */
  readonly origin: ArtifactOrigin;
  /** Digest of the key log; null: there was none. */
  readonly keyLog: Digest | null;
}

/** Everything that can happen, one kind each. All state is a fold of these. */
export type EventData =
  | {
      readonly kind: "daemon.started";
      readonly version: string;
      readonly pid: number;
      /** Boot of the machine and its uptime then, in ms. */
      readonly boot?: { readonly id: string; readonly upMs: number };
    }
  | { readonly kind: "daemon.stopped" }
  /** The machine's clock was set: stamps from this one on are on the new time. */
  | { readonly kind: "clock.jumped"; readonly byMs: number }
  | (InEnvironment & {
      readonly kind: "environment.changed";
      readonly settings: WrittenSettings;
      /** Numbers that a person asked for, which hold for what is on its way too; absent: all that `settings` have do. */
      readonly counts?: Counts;
      readonly cause: Cause;
    })
  /** What the config is made of, where no release says so: what instances see stays as it is, or nothing is live. */
  | (InEnvironment & { readonly kind: "config.changed"; readonly cause: Cause } & ConfigOrigin)
  /** A value was kept as a new version; it is no part of any event, nor is anything that is made of it. */
  | (InEnvironment & {
      readonly kind: "secret.set";
      readonly name: SecretName;
      readonly version: number;
      /** `provider`: it came with a release, from where the definition says. */
      readonly from: "person" | "provider";
      readonly cause: Cause;
    })
  /** A version is to be used no more: what names it takes the current one. */
  | (InEnvironment & {
      readonly kind: "secret.revoked";
      readonly name: SecretName;
      readonly version: number;
      readonly cause: Cause;
    })
  /** All versions are gone. */
  | (InEnvironment & { readonly kind: "secret.removed"; readonly name: SecretName; readonly cause: Cause })
  | (InEnvironment & {
      readonly kind: "release.created";
      readonly release: number;
      readonly digest: Digest;
      readonly content: Content;
      /** The set that is to serve: an earlier one that still runs the content, or a new one named by this release. */
      readonly set: SetName;
      readonly type: "deploy" | "rollback";
      /** For a rollback: the release whose content comes back. */
      readonly of: number | null;
      readonly automatic: boolean;
      readonly cause: Cause;
      /** The rollout ends by then, in ms after this event. */
      readonly deadlineMs: number;
      /** Settings of the environment that come into effect with it, at its switch; absent: they stay as they are. */
      readonly settings?: WrittenSettings;
      /** What its config was made of; absent: nothing. */
      readonly configOrigin?: ConfigOrigin;
      /** The release by which its artifact was proven in the environment before; absent: there is none before. */
      readonly promoted?: Promotion;
      /** Versions of secrets that took the place of those its origin had; absent: none did. */
      readonly replacedSecrets?: readonly ReplacedSecret[];
      /** Tests its artifact has to pass first; absent: none, or passed before. */
      readonly tests?: readonly TestTask[];
      /** It goes live at once, whatever the strategy: something that is live is to be used no more. */
      readonly urgent?: true;
      /** It goes back behind these releases, whose commands ran and are not reversible; absent: behind none. */
      readonly leaves?: readonly number[];
    })
  | (InEnvironment & {
      readonly kind: "traffic.switching";
      readonly release: number;
      readonly set: SetName;
      readonly from: SetName | null;
    })
  | (InEnvironment & {
      readonly kind: "traffic.switched";
      readonly release: number;
      readonly set: SetName;
      readonly from: SetName | null;
      /** From the request to all new requests answered by this set, in ms. */
      readonly elapsedMs: number;
      /** All instances ran already. */
      readonly warm: boolean;
      /** What the replaced set answered in its last 60 s: the watch compares with it. */
      readonly baseline: { readonly requests: number; readonly errors: number };
    })
  | (InEnvironment & {
      readonly kind: "rollout.measured";
      readonly release: number;
      /** Requests from the rollout's start until the replaced set had none in flight; null: lines were lost, nothing is known. */
      readonly requests: number | null;
      readonly failed: number | null;
    })
  /** A step of its strategy was reached; the router gives it its share from here on. */
  | (InEnvironment & {
      readonly kind: "rollout.stepped";
      readonly release: number;
      /** 1, 2, 3, … */
      readonly step: number;
      /** Share of the requests that the release is to have, in 1/10000. */
      readonly weight: number;
      readonly reason: string;
      /** Of a rolling rollout: how many instances each set is to have now. */
      readonly counts?: readonly SetCount[];
      /** Of a rolling rollout: how many instances were wanted in all when these counts were made. */
      readonly instances?: number;
    })
  /** It stands still until it is resumed; its deadline does not run. */
  | (InEnvironment & {
      readonly kind: "rollout.paused";
      readonly release: number;
      readonly by: PausedBy;
      readonly reason: string;
      readonly cause?: Cause;
    })
  | (InEnvironment & { readonly kind: "rollout.resumed"; readonly release: number; readonly cause?: Cause })
  /** Its remaining steps are left out: it goes live as soon as it is ready. */
  | (InEnvironment & { readonly kind: "rollout.hurried"; readonly release: number; readonly cause: Cause })
  | (InEnvironment & {
      readonly kind: "rollout.aborted";
      readonly release: number;
      readonly failure: Failure;
      /** Its healthy instances serve until what is live is whole again; absent: they have no requests from here on. */
      readonly leaving?: boolean;
    })
  /** A content proved bad in the environment: nothing puts it live there until a newer one went live, or a person allows it. */
  | (InEnvironment & {
      readonly kind: "content.quarantined";
      readonly digest: Digest;
      /** The release that showed it. */
      readonly release: number;
      readonly reason: string;
    })
  | (InEnvironment & { readonly kind: "content.allowed"; readonly digest: Digest; readonly cause: Cause })
  /** What was decided about a release by itself, and on which numbers. */
  | (InEnvironment & {
      readonly kind: "decision.made";
      readonly release: number;
      /** Name of the function that decided. */
      readonly rule: string;
      /** All that it was given; of bounded size. */
      readonly inputs: Json;
      /** What it came to. */
      readonly outcome: Json;
      /** The same in one plain sentence. */
      readonly sentence: string;
    })
  | (InEnvironment & {
      readonly kind: "release.proven";
      readonly release: number;
      readonly reason: "watched" | "replaced" | "no watch" | "proven before";
    })
  | (InEnvironment & {
      readonly kind: "release.taken_back";
      readonly release: number;
      readonly figures: WatchFigures | null;
      readonly reason: string;
    })
  | (InEnvironment & {
      readonly kind: "watch.warned";
      readonly release: number;
      readonly figures: WatchFigures;
      readonly reason: string;
    })
  | (InEnvironment & { readonly kind: "set.retired"; readonly set: SetName; readonly reason: string })
  /** What is live ends before what comes starts: both want a volume that only one may have. */
  | (InEnvironment & {
      readonly kind: "set.yielded";
      readonly set: SetName;
      readonly release: number;
      /** Longest time its requests in flight may take. */
      readonly drainMs: number;
      readonly volumes: readonly string[];
    })
  | (InEnvironment & {
      readonly kind: "snapshot.starting";
      readonly volume: string;
      readonly snapshot: string;
      /** The release it is made before; null: a person asked for it. */
      readonly release: number | null;
    })
  | (InEnvironment & {
      readonly kind: "snapshot.made";
      readonly volume: string;
      /** Null: there was no such volume yet. */
      readonly snapshot: string | null;
      readonly release: number | null;
      readonly cause?: Cause;
    })
  | (InEnvironment & {
      readonly kind: "volume.restored";
      /** Name of the new one. */
      readonly volume: string;
      readonly from: { readonly name: string; readonly snapshot: string };
      readonly cause: Cause;
    })
  | (InEnvironment & {
      readonly kind: "volume.removed";
      readonly volume: string;
      /** Null: the volume with all its snapshots. */
      readonly snapshot: string | null;
      readonly cause: Cause;
    })
  | (InEnvironment & { readonly kind: "set.removed"; readonly set: SetName })
  | (InEnvironment & {
      readonly kind: "instances.starting";
      readonly set: SetName;
      /** Absent: `web`. */
      readonly process?: ProcessName;
      readonly count: number;
      readonly ordinals: readonly number[];
      /** Apps that it needs and that do not serve: it was waited for them in vain. */
      readonly without?: readonly AppName[];
    })
  /** The machine refused to start a worker's instances; they are tried again as if they had ended. */
  | (InEnvironment & {
      readonly kind: "instances.failed";
      readonly set: SetName;
      readonly process: ProcessName;
      readonly reason: string;
    })
  | (InEnvironment & { readonly kind: "instance.healthy"; readonly instance: InstanceName; readonly afterMs: number })
  | (InEnvironment & {
      readonly kind: "instance.exited";
      readonly instance: InstanceName;
      readonly code: number | null;
      readonly outOfMemory: boolean;
    })
  | (InEnvironment & {
      readonly kind: "instance.condemned";
      readonly instance: InstanceName;
      readonly type: CondemnType;
      readonly reason: string;
    })
  | (InEnvironment & { readonly kind: "instance.removed"; readonly instance: InstanceName })
  | (InEnvironment & {
      readonly kind: "drift.found";
      readonly instance: InstanceName;
      readonly type: "missing" | "unexpected" | "modified" | "stale";
      readonly findings: readonly string[];
    })
  | (InEnvironment & { readonly kind: "app.down"; readonly cause: Cause })
  /** Recorded before it is started, so that none runs twice. */
  | (InEnvironment & {
      readonly kind: "task.started";
      readonly release: number;
      readonly process: ProcessName;
      readonly ordinal: number;
      readonly instance: InstanceName;
      /** Place in the list of tests or checks; 0 where there is one. */
      readonly index: number;
      readonly command: readonly string[];
      /** Longest time it may take, in ms; null: as long as it likes. */
      readonly deadlineMs: number | null;
      /** Whose resources it has: `web` or a worker; absent: `web`. */
      readonly like?: ProcessName;
      /** Who asked for it; absent: its rollout did. */
      readonly cause?: Cause;
    })
  /** It has a process: were it gone after this, nobody would know how far it came. */
  | (InEnvironment & { readonly kind: "task.running"; readonly instance: InstanceName })
  | (InEnvironment & {
      readonly kind: "task.ended";
      readonly release: number;
      readonly process: ProcessName;
      readonly instance: InstanceName;
      readonly how: TaskEnd;
      /** Exit status; null unless it exited and was seen to. */
      readonly code: number | null;
      readonly elapsedMs: number;
      /** Last lines it wrote, at most 50, without values of secrets. */
      readonly output: readonly string[];
      /** In words: why it was stopped, or could not be started. */
      readonly reason?: string;
    })
  /** A check that asks for a path got its answer. */
  | (InEnvironment & {
      readonly kind: "check.answered";
      readonly release: number;
      readonly index: number;
      /** The new instance that was asked. */
      readonly instance: InstanceName;
      readonly path: string;
      /** Status of the answer; null: none came. */
      readonly status: number | null;
      readonly passed: boolean;
      readonly elapsedMs: number;
    })
  /** All tests of a list passed; the store has a manifest that says so, with the artifact as its subject. */
  | (InEnvironment & {
      readonly kind: "tests.passed";
      readonly release: number;
      readonly artifact: Digest;
      readonly tests: Digest;
      readonly result: Digest;
    })
  /** The watch's rule fired and nothing was taken back: what the release command did cannot be undone by going back. */
  | (InEnvironment & {
      readonly kind: "watch.held";
      readonly release: number;
      /** What a rollback would go to. */
      readonly to: number;
      readonly figures: WatchFigures;
      readonly reason: string;
    })
  /** An artifact, or an image that artifacts are made from, is to be used no more; why says the cause. */
  | { readonly kind: "artifact.revoked"; readonly artifact: Digest; readonly cause: Cause }
  /** An artifact that releases name was made from a revoked one, by this way: from it to what is revoked. */
  | {
      readonly kind: "artifact.blocked";
      readonly artifact: Digest;
      readonly revoked: Digest;
      readonly chain: readonly Digest[];
    }
  /** A revocation is lifted, with all that it blocked. */
  | { readonly kind: "artifact.reinstated"; readonly artifact: Digest; readonly cause: Cause }
  | (InEnvironment & TrustDecision & { readonly kind: "trust.verified" })
  /** It is not verified, and its environment only warns of that. */
  | (InEnvironment & TrustDecision & { readonly kind: "trust.warned"; readonly reasons: readonly string[] })
  /** It is not verified, and its environment wants it to be. */
  | (InEnvironment & TrustDecision & { readonly kind: "trust.refused"; readonly reasons: readonly string[] })
  /** A deploy took its number and nothing else: its artifact may not be released. */
  | (InEnvironment & {
      readonly kind: "release.refused";
      readonly release: number;
      readonly digest: Digest;
      readonly content: Content;
      readonly cause: Cause;
      readonly failure: Failure;
    })
  | { readonly kind: "layer.imaged"; readonly diffId: Digest; readonly imageDigest: Digest; readonly sizeBytes: number }
  | { readonly kind: "image.touched"; readonly artifact: Digest; readonly path: string; readonly finding: string }
  /** A blob whose bytes are not its digest's any more; set aside, so that the store lacks it. */
  | { readonly kind: "blob.damaged"; readonly digest: Digest; readonly path: string; readonly finding: string }
  /** All blobs and images were hashed again; what was damaged has an event of its own before this one. */
  | { readonly kind: "storage.checked"; readonly files: number; readonly bytes: number; readonly damaged: number }
  /** A person had everything after an event dropped, because the ledger was damaged; the old files lie in `aside`. */
  | { readonly kind: "ledger.salvaged"; readonly kept: number; readonly aside: string; readonly who: string }
  /** Of an environment; without one, of the network that all environments shared in earlier versions. */
  | {
      readonly kind: "network.chosen";
      readonly subnet: string;
      readonly environment?: EnvironmentName;
      /** Tells its bridge and rules from those of the daemon's other environments. */
      readonly number?: number;
    };

export type EventKind = EventData["kind"];

/** An event that is not in the ledger yet. */
export interface NewEvent {
  /** Time of day, in ms since the epoch, as the machine's clock said. */
  readonly atMs: number;
  readonly data: EventData;
}

/** An event in the ledger, chained to the one before by hash. */
export interface LedgerEvent extends NewEvent {
  /** 1, 2, 3, … without holes. */
  readonly seq: number;
  /** Hash of the event before; 64 zeros for the first. */
  readonly prev: Digest;
  /** sha256 of the canonical JSON of `{atMs, data, prev, seq}`. */
  readonly hash: Digest;
}
