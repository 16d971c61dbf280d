import type { AppName, EnvironmentName } from "../names.ts";
import type { SecretName } from "../secret.ts";
import type { Asked, Named } from "./asked.ts";
import type { DeployResult, WantedSecret } from "./releases.ts";

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
