import { OperatorError } from "../errors/operator-error.ts";
import { printableLine } from "../errors/redact.ts";

/** A registry that cannot be used as things are. */
export function registryFailed(host: string, action: string, cause: unknown, hint?: string): OperatorError {
  return new OperatorError("REGISTRY_FAILED", `Cannot ${action}: the registry ${host} fails`, {
    hint: hint ?? "look whether the machine reaches it, then run the command again; what was transferred is kept",
    cause,
  });
}

/** A registry whose bytes are not what it says they are. */
export function registryLies(host: string, what: string, state: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot take ${what} from ${host}: ${printableLine(state)}`, {
    hint: "nothing of it was kept; the registry, or something between it and this machine, changed it",
  });
}

/** A failure that may pass: the same may be tried again. */
export class Passing extends Error {
  /** What the registry asked to wait, in ms. */
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number, cause?: unknown) {
    super(message, { cause });
    this.waitMs = waitMs;
  }
}
