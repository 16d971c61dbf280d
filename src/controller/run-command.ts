import { OperatorError } from "../errors/operator-error.ts";
import { nextTaskOrdinal, type EnvironmentRecord, type ReleaseRecord, type TaskRecord } from "../ledger/state.ts";
import type { RunRequest } from "../model/api/runs.ts";
import { instanceName, runProcess, webProcess, type ProcessName } from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import { refuseRevoked } from "./admission.ts";
import { causeOf } from "./begin.ts";
import { keyOf, type Controller } from "./controller.ts";
import { knownEnvironment, namedRelease } from "./known.ts";

/** Most commands of one environment that run at one time. */
const mostCommands = 16;

/** A command that was asked for. */
export interface RunningCommand {
  readonly record: EnvironmentRecord;
  readonly task: TaskRecord;
}

/**
 * Begins to run a command in a one-off instance of the live content, or a named release's; the same request twice is one
 * command.
 *
 * @throws {OperatorError} `ARTIFACT_REVOKED`, `NOT_FOUND` when nothing is live, or there is no such release or process; `LOCKED` when too many
 *   run
 */
export function runCommand(controller: Controller, request: RunRequest): RunningCommand {
  const { app, environment, command } = request;
  const record = knownEnvironment(controller, app, environment);
  const known = [...record.tasks.values()].find(({ cause }) => cause?.request === request.request);
  if (known !== undefined) return { record, task: known };
  const release = contentOf(record, request);
  refuseRevoked(record, release);
  const like = processOf(release, request.like);
  const open = [...record.tasks.values()].filter(({ ended, cause }) => ended === null && cause !== null).length;
  if (open >= mostCommands) {
    throw new OperatorError("LOCKED", `Cannot run a command of ${app} in ${environment}: ${open} run already`, {
      hint: "wait until one of them ends; `bronze status` names them",
    });
  }
  const ordinal = nextTaskOrdinal(record, release.set, runProcess);
  const instance = instanceName(release.set, ordinal, runProcess);
  controller.recorder.append({
    kind: "task.started",
    app,
    environment,
    release: release.number,
    process: runProcess,
    ordinal,
    instance,
    index: 0,
    command,
    deadlineMs: null,
    ...(like === webProcess ? {} : { like }),
    cause: causeOf(request),
  });
  controller.tick(keyOf(record));
  const task = record.tasks.get(instance);
  if (task === undefined) throw new Error(`${instance} has no record after its start was recorded`);
  return { record, task };
}

/** Ends a command; what it wrote is recorded. One that has ended is left alone. */
export async function endCommand(
  controller: Controller,
  { record, task }: RunningCommand,
  reason: string,
): Promise<void> {
  if (task.ended !== null) return;
  const { release, instance } = task;
  await controller.executor.run(record, { kind: "finish-task", release, instance, how: "stopped", reason });
  controller.tick(keyOf(record));
}

function contentOf(record: EnvironmentRecord, request: RunRequest): ReleaseRecord {
  const number = request.release ?? record.live?.release;
  if (number !== undefined) return namedRelease(record, number);
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot run a command of ${record.app} in ${record.environment}: nothing is live`,
    { hint: "bring it up with `bronze up`, or name a release with --release vN" },
  );
}

function processOf({ content, number }: ReleaseRecord, like: string | undefined): ProcessName {
  const names = [webProcess, ...Object.keys(content.settings.processes ?? {})];
  if (like === undefined || names.includes(like)) return (like ?? webProcess) as ProcessName;
  const near = nearestName(like, names);
  throw new OperatorError("NOT_FOUND", `Cannot run a command like process "${like}": v${number} has no such process`, {
    hint: `${near === undefined ? "" : `did you mean ${near}? `}it has ${names.join(", ")}`,
  });
}
