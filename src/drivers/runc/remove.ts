import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { InstanceName } from "../../model/names.ts";
import type { Cgroups } from "./cgroups.ts";
import type { Exits } from "./exits.ts";
import { readText } from "./files.ts";
import { identify, isAlive, signalProcess, waitGone, type ProcessIdentity } from "./processes.ts";
import { instancePaths, readBirth, readExit, type Folders, type InstancePaths } from "./record.ts";

export interface RemoveTools {
  readonly folders: Folders;
  readonly cgroups: Cgroups;
  readonly exits: Exits;
}

const killMs = 10_000;
const supervisorMs = 2_000;

/**
 * Ends an instance and removes its traces. `runc delete` would take 107 ms, because it looks for the end of what it
 * killed after a fixed pause; what it removes are two folders.
 */
export async function removeInstance(
  tools: RemoveTools,
  name: InstanceName,
  graceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const paths = instancePaths(tools.folders, name);
  const first = firstProcess(paths);
  const supervisor = supervisorProcess(paths);
  if (first !== undefined) await end(tools, name, first, graceMs, signal);
  if (supervisor !== undefined && first !== undefined && isAlive(supervisor))
    await tools.exits.wait(name, supervisorMs);
  if (supervisor !== undefined && !(await waitGone(supervisor, supervisorMs))) signalProcess(supervisor, "SIGKILL");
  await tools.cgroups.removeInstance(name);
  await rm(paths.runtimeState, { recursive: true, force: true });
  await rm(paths.exit, { force: true });
  // The bundle last: while it is there, what is left of the instance is found again.
  await rm(paths.bundle, { recursive: true, force: true });
  tools.exits.forget(name);
}

async function end(
  tools: RemoveTools,
  name: InstanceName,
  first: ProcessIdentity,
  graceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const paths = instancePaths(tools.folders, name);
  if (graceMs > 0 && readExit(paths) === undefined && signalProcess(first, "SIGTERM")) {
    const ended = tools.exits.wait(name, graceMs, signal);
    // Where nobody tells of its exit any more, its process does.
    await Promise.race([ended, supervisorProcess(paths) === undefined ? waitGone(first, graceMs) : ended]);
  }
  signalProcess(first, "SIGKILL");
  await waitGone(first, killMs);
}

/** Also of an instance that was never finished: from runc's own notes. */
function firstProcess(paths: InstancePaths): ProcessIdentity | undefined {
  const birth = readBirth(paths);
  if (birth !== undefined) return birth.process;
  const text = readText(join(paths.runtimeState, "state.json"));
  if (text === undefined) return undefined;
  const state = JSON.parse(text) as { readonly init_process_pid?: number; readonly init_process_start?: number };
  return state.init_process_pid === undefined
    ? undefined
    : { pid: state.init_process_pid, start: String(state.init_process_start) };
}

function supervisorProcess(paths: InstancePaths): ProcessIdentity | undefined {
  const birth = readBirth(paths);
  if (birth !== undefined) return isAlive(birth.supervisor) ? birth.supervisor : undefined;
  const pid = Number(readText(paths.supervisorPid));
  const ours = pid > 0 && readText(`/proc/${pid}/cmdline`)?.includes(`\0${paths.bundle}\0`) === true;
  return ours ? identify(pid) : undefined;
}
