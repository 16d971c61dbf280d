import type { FastifyInstance } from "fastify";
import { OperatorError } from "../errors/operator-error.ts";
import type { Controller } from "../controller/controller.ts";
import { knownEnvironment } from "../controller/known.ts";
import { nextOrdinalOf, nextTaskOrdinal, type EnvironmentRecord } from "../ledger/state.ts";
import type { LogLine } from "../model/api/asked.ts";
import {
  isTask,
  splitInstanceName,
  taskProcesses,
  webProcess,
  type AppName,
  type EnvironmentName,
  type InstanceName,
  type InstanceNameParts,
  type ProcessName,
} from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import { workersOf } from "../model/processes.ts";
import { parseWith, querySchema } from "./schemas.ts";
import { streamLines } from "./stream.ts";

/** Which lines are wanted. */
export interface LogQuery {
  readonly app?: AppName;
  readonly environment?: EnvironmentName;
  readonly instance?: InstanceName;
  readonly process?: ProcessName;
  readonly lines: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

const mostLines = 100_000;

/** The route to what instances wrote. */
export function addLogRoutes(
  app: FastifyInstance,
  { controller, logs }: { readonly controller: Controller; readonly logs: (query: LogQuery) => AsyncIterable<LogLine> },
): void {
  app.get("/v1/logs", async (request, reply) => {
    const { app: name, environment, instance, process, lines, follow } = parseWith(querySchema, request.query, "query");
    if (name !== undefined && environment !== undefined) {
      const record = knownEnvironment(controller, name, environment);
      if (instance !== undefined) refuseUnknownInstance(controller, record, instance);
      if (process !== undefined) refuseUnknownProcess(record, process);
    }
    await streamLines(reply, (signal) =>
      logs({
        ...(name === undefined ? {} : { app: name }),
        ...(environment === undefined ? {} : { environment }),
        ...(instance === undefined ? {} : { instance: instance as InstanceName }),
        ...(process === undefined ? {} : { process }),
        lines: Math.min(lines ?? 100, mostLines),
        follow: follow === "1",
        signal,
      }),
    );
  });
}

/** Of a set that is gone only its release is known; its instances may have left their logs. */
function refuseUnknownInstance(controller: Controller, record: EnvironmentRecord, name: string): void {
  const parts = splitInstanceName(name);
  if (controller.fleet.get(name as InstanceName) !== undefined) return;
  if (parts !== undefined && parts.release <= record.lastRelease && parts.ordinal < nextOrdinalIn(record, parts))
    return;
  throw new OperatorError("NOT_FOUND", `Cannot show the log of instance "${name}": there has been no such instance`, {
    hint: "`bronze status` names those that run; without a name, `bronze logs` shows all of the environment",
  });
}

/** Of a set that is gone any ordinal may have been. */
function nextOrdinalIn(record: EnvironmentRecord, { set, process }: InstanceNameParts): number {
  if (isTask(process)) return nextTaskOrdinal(record, set, process);
  const known = record.sets.get(set);
  return known === undefined ? Number.POSITIVE_INFINITY : nextOrdinalOf(known, process);
}

/** Those of all its releases: a process that is gone may have left its logs. */
function refuseUnknownProcess(record: EnvironmentRecord, process: ProcessName): void {
  const workers = [...record.releases.values()].flatMap(({ content }) => workersOf(content.settings));
  const known = [...new Set([webProcess, ...workers])];
  if ([...known, ...taskProcesses].includes(process)) return;
  const near = nearestName(process, known);
  throw new OperatorError("NOT_FOUND", `Cannot show the logs of "${process}": no release has such a process`, {
    hint: `${near === undefined ? "" : `did you mean ${near}? `}there are ${known.join(", ")}`,
  });
}
