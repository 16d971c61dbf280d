import { exitStatusByCode, type ErrorCode } from "./codes.ts";
import { describeDiskTrouble, diskTrouble, type DiskTrouble } from "./disk.ts";
import { printable } from "./redact.ts";

/** What a person who operates Bronze is told when something cannot be done. */
export interface OperatorErrorOptions {
  /** The next step for the reader, one or two sentences. */
  readonly hint: string;
  /** What lies under it; its message is printed as the `cause:` line. */
  readonly cause?: unknown;
  /** Machine-readable facts for `--json`; never secrets. */
  readonly details?: unknown;
}

/**
 * The one error class that is meant for people: a closed code, the failed action, a hint and the cause.
 * The message reads `Cannot <action> <noun> "<name>": <current state>, <needed state>`.
 */
export class OperatorError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, options: OperatorErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "OperatorError";
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }

  get exitStatus(): number {
    return exitStatusByCode[this.code];
  }

  toJSON(): ErrorRecord {
    const cause = causeText(this.cause);
    return {
      code: this.code,
      message: printable(this.message),
      hint: printable(this.hint),
      ...(cause === undefined ? {} : { cause }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}

/** An error as it travels over the API and in `--json` output. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly cause?: string;
  readonly details?: unknown;
}

/**
 * The error for a disk that took no bytes (exit 11).
 *
 * @param action what could not be done, to follow "Cannot"
 * @param freeBytes what is free there; undefined where that is not known
 */
export function diskError(
  trouble: DiskTrouble,
  action: string,
  freeBytes: number | undefined,
  cause: unknown,
): OperatorError {
  const { code, message, hint } = describeDiskTrouble(trouble, action, freeBytes);
  return new OperatorError(code, message, { hint, cause });
}

/** What the system says where rights, file system or limits are in the way, and no fault of ours. */
const refusals: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS", "ENOTDIR", "ELOOP", "EMFILE", "ENFILE"]);

/** Turns anything thrown into an `OperatorError`; what is neither one already nor a disk's trouble is our bug (exit 1). */
export function asOperatorError(thrown: unknown): OperatorError {
  if (thrown instanceof OperatorError) return thrown;
  const trouble = diskTrouble(thrown);
  if (trouble !== undefined) {
    const { path } = thrown as NodeJS.ErrnoException;
    return diskError(trouble, path === undefined ? "write a file" : `write "${path}"`, undefined, thrown);
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof Error && "code" in thrown && refusals.has(String(thrown.code))) {
    return new OperatorError("MACHINE_REFUSED", "Cannot go on: the machine refuses a file or folder", {
      hint: "the cause names it; see to its rights, its file system and what is in its place, then run again",
      cause: thrown,
    });
  }
  return new OperatorError("INTERNAL", `Cannot go on: ${message}`, {
    hint: "this is a fault of Bronze itself; run again with BRONZE_DEBUG=1 for the stack and report it",
    cause: thrown,
  });
}

/** Rebuilds the error that a daemon sent as JSON. */
export function fromErrorRecord(record: ErrorRecord): OperatorError {
  const code = Object.hasOwn(exitStatusByCode, record.code) ? record.code : "INTERNAL";
  return new OperatorError(code, record.message, {
    hint: record.hint,
    ...(record.cause === undefined ? {} : { cause: record.cause }),
    ...(record.details === undefined ? {} : { details: record.details }),
  });
}

/** The cause's own words, printable, or undefined where there is none. */
export function causeText(cause: unknown): string | undefined {
  if (cause === undefined || cause === null) return undefined;
  const text = cause instanceof Error ? cause.message : typeof cause === "string" ? cause : JSON.stringify(cause);
  return printable(text.trim()) || undefined;
}
