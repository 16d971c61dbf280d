import { diskError, OperatorError } from "../../errors/operator-error.ts";
import type { StepRequest } from "../../ports/step-runner.ts";
import { freeBytes, whyNotWritable } from "../../linux/disk.ts";
import type { Bounds } from "./bounds.ts";
import type { Ended } from "./launcher.ts";

export interface EndFacts {
  readonly request: StepRequest;
  readonly ended: Ended;
  /** What runc logged, a JSON object a line. */
  readonly log: string;
  readonly bounds: Bounds;
  readonly mostProcesses: number;
  /** The last of the program's output. */
  readonly tail: string;
  /** Where the step wrote to. */
  readonly folder: string;
}

/** Below this a program that says the disk is full is believed: what it could not write it has often removed by now. */
const littleBytes = 256 * 2 ** 20;

/** Why a step did not end well. */
export function explainEnd(facts: EndFacts): OperatorError {
  const { ended, bounds, tail, folder } = facts;
  const what = `run ${shown(facts.request.command)}`;
  if (bounds.tooManyProcesses) {
    return new OperatorError("BUILD_FAILED", `Cannot ${what}: it started more than ${facts.mostProcesses} processes`, {
      hint: "it was ended with all of them; let it do less at once",
      details: { status: 137 },
    });
  }
  const trouble = whyNotWritable(folder);
  if (trouble !== undefined) return diskError(trouble, what, freeBytes(folder), lastLine(tail));
  if (/No space left on device|ENOSPC/.test(tail) && bounds.leastFreeBytes < littleBytes)
    return diskError("ENOSPC", what, bounds.leastFreeBytes, lastLine(tail));
  if (ended.kind === "refused") return notStarted(what, facts.log);
  const by = ended.status > 128 ? ` (killed by signal ${ended.status - 128})` : "";
  return new OperatorError("BUILD_FAILED", `Cannot ${what}: it ended with status ${ended.status}${by}`, {
    hint:
      ended.status === killedStatus
        ? "somebody killed it, most often the kernel when memory ran out (`dmesg` tells): let it do less at once"
        : "its output tells why; correct the step and build again",
    details: { status: ended.status },
  });
}

/** Of SIGKILL. */
const killedStatus = 128 + 9;

/** Statuses as shells give them. @see bash(1), "EXIT STATUS" */
const notFound = 127;
const notExecutable = 126;

function notStarted(what: string, log: string): OperatorError {
  const reason = runcReason(log);
  const status = /executable file not found|no such file or directory/.test(reason) ? notFound : notExecutable;
  return new OperatorError("BUILD_FAILED", `Cannot ${what}: it cannot be started`, {
    hint:
      status === notFound
        ? "the image has no such program, or not what it is interpreted by; a shell form needs /bin/sh in the image"
        : "see the cause; `bronze doctor` tells whether the machine is fit",
    cause: reason,
    details: { status },
  });
}

/** The last error that runc logged. */
export function runcReason(log: string): string {
  const lines = log.split("\n").filter((line) => line !== "");
  for (const line of lines.toReversed()) {
    try {
      const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
      if (level === "error" && typeof msg === "string") return msg;
    } catch {
      // Cut short; an earlier one may do.
    }
  }
  return "runc gave no reason";
}

const mostShown = 200;

/** A command on one line, as far as it is worth reading. */
function shown(command: readonly string[]): string {
  const [shell, flag, script] = command;
  const text = shell === "/bin/sh" && flag === "-c" && script !== undefined ? script : command.join(" ");
  const line = text.replace(/\s+/g, " ").trim();
  return `"${line.length > mostShown ? `${line.slice(0, mostShown)}…` : line}"`;
}

function lastLine(text: string): string | undefined {
  return text.trim().split("\n").at(-1);
}
