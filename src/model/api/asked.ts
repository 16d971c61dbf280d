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
 *   POST /v1/scale     ScaleRequest                            → stream of StreamLine<ScaleResult>
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
import type { ErrorRecord } from "../../errors/operator-error.ts";
import type { AppName, EnvironmentName, InstanceName } from "../names.ts";

export interface Ping {
  readonly version: string;
  readonly pid: number;
  readonly uptimeMs: number;
  /** Where the router takes requests, `http://127.0.0.1:8080`. */
  readonly url: string;
}

export interface Asked {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  /** Login name of who asks. */
  readonly who: string;
  /** In their words; may be empty. */
  readonly why: string;
}

/** Names one request among all, so that who lost the answer finds what became of it. */
export interface Named {
  /** At most 64 characters, made by who asks. */
  readonly request?: string;
}

/** Waits until a release is proven or taken back. */
export interface WaitRequest {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly release: number;
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

export interface LogLine {
  readonly instance: InstanceName;
  /** RFC 3339 with nanoseconds, as written. */
  readonly at: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}
