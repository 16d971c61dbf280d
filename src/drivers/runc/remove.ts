import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { InstanceName } from "../../model/names.ts";
import type { Cgroups } from "../../linux/cgroups.ts";
import type { Exits } from "./exits.ts";
import { readText } from "../../linux/files.ts";
import { dropsTerm, identify, isAlive, signalProcess, waitGone, type ProcessIdentity } from "../../linux/processes.ts";
import { instancePaths, readBirth, readExit, type Folders, type InstancePaths } from "./record.ts";
import type { SupervisorWatch } from "./supervisor-watch.ts";

export interface RemoveTools {
  readonly folders: Folders;
  readonly cgroups: Cgroups;
  readonly exits: Exits;
  readonly supervisors: SupervisorWatch;
}

const killMs = 10_000;
const supervisorMs = 2_000;
const pauseMs = 5;

/**
 * Ends an instance and removes its traces. `runc delete` would take 107 ms, because it looks for the end of what it
 * killed after a fixed pause; what it removes are two folders.
 *
 * @param making settles when this daemon's own making of it has come to an end; absent: none is under way
 */
export async function removeInstance(
  tools: RemoveTools,
  name: InstanceName,
  graceMs: number,
  signal: AbortSignal,
  making?: Promise<void>,
): Promise<void> {
  const paths = instancePaths(tools.folders, name);
  if (readBirth(paths) === undefined) await stopMaking(tools, name, paths, making);
  const first = readBirth(paths)?.process;
  const supervisor = supervisorProcess(paths);
  if (first !== undefined) await end(tools, name, first, graceMs, signal);
  if (supervisor !== undefined && first !== undefined && isAlive(supervisor))
    await tools.exits.wait(name, supervisorMs);
  if (supervisor !== undefined && !(await waitGone(supervisor, supervisorMs))) signalProcess(supervisor, "SIGKILL");
  tools.supervisors.forget(name);
  await tools.cgroups.removeInstance(name);
  await rm(paths.runtimeState, { recursive: true, force: true });
  tools.exits.tell(name);
  await rm(paths.exit, { force: true });
  await rm(paths.secrets, { recursive: true, force: true });
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
  // A grace period is of use only to those who hear that it has begun.
  if (graceMs > 0 && !dropsTerm(first.pid) && readExit(paths) === undefined && signalProcess(first, "SIGTERM")) {
    const ended = tools.exits.wait(name, graceMs, signal);
    // Where nobody tells of its exit any more, its process does.
    await Promise.race([ended, supervisorProcess(paths) === undefined ? waitGone(first, graceMs) : ended]);
  }
  signalProcess(first, "SIGKILL");
  await waitGone(first, killMs);
}

function supervisorProcess(paths: InstancePaths): ProcessIdentity | undefined {
  const supervisor = readBirth(paths)?.supervisor;
  return supervisor !== undefined && isAlive(supervisor) ? supervisor : undefined;
}

/**
 * Ends what is at work on an instance that has no birth yet: in this daemon, which is waited for, or since before another
 * was killed. Its first process may appear only now, told by nothing but its cgroup. One look does not suffice: conmon
 * forks, and its child may be missing from a list that was begun before.
 */
async function stopMaking(
  tools: RemoveTools,
  name: InstanceName,
  paths: InstancePaths,
  making: Promise<void> | undefined,
): Promise<void> {
  let isMaking = making !== undefined;
  void making?.then(() => (isMaking = false));
  let quietLooks = 0;
  const until = performance.now() + killMs;
  while (quietLooks < 2 && performance.now() < until) {
    if (readBirth(paths) !== undefined && !isMaking) return;
    const left = [...makersOf(paths.bundle), ...tools.cgroups.members(name)]
      .flatMap((pid) => identify(pid) ?? [])
      .filter(isAlive);
    for (const identity of left) signalProcess(identity, "SIGKILL");
    quietLooks = isMaking || left.length > 0 ? 0 : quietLooks + 1;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** conmon and runc that work on a bundle. */
export function makersOf(bundle: string): readonly number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && /^(conmon|runc|crun)\n$/.test(readText(`/proc/${pid}/comm`) ?? ""))
    .filter((pid) => readText(`/proc/${pid}/cmdline`)?.includes(`\0${bundle}\0`) === true);
}
