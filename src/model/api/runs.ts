import type { ErrorRecord } from "../../errors/operator-error.ts";
import type { InstanceName } from "../names.ts";
import type { Asked, LogLine } from "./asked.ts";

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
