import type { Digest } from "../canonical.ts";
import type { Config, ConfigOverrides, OverrideRow } from "../config.ts";
import type { Content, EnvironmentSettings, RunSettings } from "../content.ts";
import type { Change } from "../difference.ts";
import type { AppName, EnvironmentName } from "../names.ts";
import type { SecretName } from "../secret.ts";
import type { TestTask } from "../tasks.ts";
import type { Asked, Named } from "./asked.ts";

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

export interface ScaleResult {
  /** The rollout under way, which goes on with these numbers; null: there is none, and as many do their work. */
  readonly rollout: number | null;
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

export interface DeployResult {
  readonly release: number;
  /** The earlier release whose content this is, for a rollback. */
  readonly of: number | null;
  /** False: that content was live already and no release was made. */
  readonly created: boolean;
  /** The release whose rollout was ended by a rollback before it was live; what was live stays so. */
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
