import { defaultRunSettings, type WorkerSettings } from "../model/content.ts";
import type { DefinedRunSettings } from "../model/definition.ts";
import { isTask, parseProcessName, taskProcesses, webProcess, type ProcessName } from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import { maxInstances, mostWorkers } from "../model/processes.ts";
import { parseDurationMs } from "../model/quantities.ts";
import { optional, readCommand } from "./build.ts";
import { keySets } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";
import { readResources, readRun } from "./run.ts";
import { readVolumes } from "./volumes.ts";

/** Numbers of instances by process. */
export type Counts = ReadonlyMap<ProcessName, number>;

/** How processes are run, and how many instances each has where an environment says nothing. */
export interface Processes {
  readonly run: DefinedRunSettings;
  readonly counts: Counts;
}

/**
 * Reads `run` and `processes`. What `run` says can also be written as `processes.web`, in its own words; not in both
 * places.
 */
export function readProcesses(reader: Reader, fields: ReadonlyMap<string, Place>): Processes {
  const place = fields.get("processes");
  const entries = new Map(place === undefined ? [] : reader.map(place, null));
  const web = entries.get(webProcess);
  const runField = fields.get("run");
  entries.delete(webProcess);
  if (web !== undefined && runField !== undefined)
    reader.problem(web, "is the same as run:, which is there too; write one of them");
  const run = readRun(reader, runField ?? web);
  if (place !== undefined && entries.size > mostWorkers)
    reader.problem(place, `has ${entries.size} processes besides web, at most ${mostWorkers} taken`);
  const processes: [ProcessName, WorkerSettings][] = [];
  const counts = new Map<ProcessName, number>();
  for (const [text, field] of [...entries].slice(0, mostWorkers)) {
    const name = readName(reader, text, field);
    const process = reader.map(field, keySets.process);
    const worker = readWorker(reader, field, process, run);
    if (name === undefined || worker === undefined) continue;
    processes.push([name, worker]);
    counts.set(name, optional(process, "instances", (one) => readCount(reader, one)) ?? 1);
  }
  return { run: processes.length === 0 ? run : { ...run, processes: Object.fromEntries(processes) }, counts };
}

/**
 * Numbers of instances that an environment has, its own over the definition's; those of one are left out.
 *
 * @param place `environments.NAME.processes`
 */
export function readCounts(
  reader: Reader,
  place: Place | undefined,
  defined: Counts,
): { readonly [process: string]: number } | undefined {
  const counts = new Map(defined);
  for (const [name, field] of place === undefined ? [] : reader.map(place, null)) {
    const known = [...defined.keys()];
    if (name === webProcess) reader.problem(field, "how many of web is written as instances:");
    else if (!defined.has(name as ProcessName)) {
      const near = nearestName(name, known);
      const there = known.length === 0 ? "there are none under processes:" : `there are ${known.join(", ")}`;
      reader.problem(field, `there is no process "${name}"; ${near === undefined ? there : `did you mean "${near}"?`}`);
    } else counts.set(name as ProcessName, readCount(reader, field) ?? 1);
  }
  const said = [...counts].filter(([, count]) => count !== 1);
  return said.length === 0 ? undefined : Object.fromEntries(said);
}

function readCount(reader: Reader, place: Place): number | undefined {
  return reader.number(place, { min: 0, max: maxInstances, integer: true });
}

function readName(reader: Reader, text: string, place: Place): ProcessName | undefined {
  const refuse = (message: string): undefined => reader.problemAt(place.offset, place.path, message) as undefined;
  try {
    const name = parseProcessName(text);
    return isTask(name)
      ? refuse(`the names ${taskProcesses.join(", ")} are those of tasks, which end by themselves`)
      : name;
  } catch {
    return refuse(
      "a process's name is 1 to 20 lower-case letters and digits, beginning with a letter, and not like a release (v1)",
    );
  }
}

function readWorker(
  reader: Reader,
  place: Place,
  fields: ReadonlyMap<string, Place>,
  run: DefinedRunSettings,
): WorkerSettings | undefined {
  const commandField = fields.get("command");
  if (commandField === undefined)
    return reader.problem(place, "command: is missing; it says what the process runs, as [node, worker.js]");
  const command = readCommand(reader, commandField);
  const volumes = optional(fields, "volumes", (field) => readVolumes(reader, field, run.tmpfs));
  const resources = readResources(reader, fields);
  const drainMs = optional(fields, "drain", (field) => reader.parsed(field, parseDurationMs));
  if (command === undefined) return undefined;
  return {
    command,
    resources,
    drainMs: drainMs ?? defaultRunSettings.drainMs,
    ...(volumes === undefined ? {} : { volumes }),
  };
}
