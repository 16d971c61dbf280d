/**
 * The closed set of error codes, each with the exit status it ends a command with.
 *
 * 0 true now, 1 our bug, 2 usage or definition, 3 changes or drift found, 4 not found, 5 rollout failed or
 * superseded, 6 denied by a gate, 7 verification failed, 8 locked, 9 daemon unreachable, 10 build or test failed,
 * 11 the machine lacks or refuses something, 130 interrupted or declined.
 */
export const exitStatusByCode = {
  INTERNAL: 1,
  PROMISE_BROKEN: 1,
  USAGE: 2,
  DEFINITION_INVALID: 2,
  ARGUMENT_INVALID: 2,
  NOT_YET_SUPPORTED: 2,
  ROUTE_OWNED: 2,
  VOLUME_HELD: 2,
  VOLUME_UNFIT: 2,
  DRIFT_FOUND: 3,
  NOT_FOUND: 4,
  NO_ROLLBACK_TARGET: 4,
  SECRET_MISSING: 4,
  VOLUME_LOST: 4,
  ROLLOUT_UNHEALTHY: 5,
  ROLLOUT_FAILED: 5,
  ROLLOUT_SUPERSEDED: 5,
  SECRET_NEEDED: 6,
  VOLUME_NEEDED: 6,
  PROMOTION_DENIED: 6,
  ARTIFACT_REVOKED: 6,
  VERIFICATION_FAILED: 7,
  ARTIFACT_UNVERIFIED: 7,
  LEDGER_DAMAGED: 7,
  NOT_REPRODUCIBLE: 7,
  SECRET_UNREADABLE: 7,
  KEY_UNUSABLE: 7,
  LOCKED: 8,
  VOLUME_ATTACHED: 8,
  SECRETS_LOCKED: 8,
  DAEMON_UNREACHABLE: 9,
  BUILD_FAILED: 10,
  SECRET_FOUND: 10,
  TEST_FAILED: 10,
  COMMAND_FAILED: 10,
  REGISTRY_FAILED: 11,
  SECRET_PROVIDER: 11,
  MACHINE_LACKS: 11,
  MACHINE_REFUSED: 11,
  DISK_FULL: 11,
  RUNTIME_FAILED: 11,
  ROUTER_FAILED: 11,
  INTERRUPTED: 130,
} as const;

export type ErrorCode = keyof typeof exitStatusByCode;
