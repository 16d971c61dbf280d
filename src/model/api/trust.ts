import type { Digest } from "../canonical.ts";
import type { ArtifactOrigin, TrustMode } from "../content.ts";
import type { AppName, EnvironmentName, InstanceName } from "../names.ts";
import type { Asked } from "./asked.ts";

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
