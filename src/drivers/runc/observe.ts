import type { ObservedInstance } from "../../ports/runtime.ts";
import { splitInstanceName, type InstanceName } from "../../model/names.ts";
import type { Digest } from "../../model/canonical.ts";
import { isAlive } from "../../linux/processes.ts";
import { instancePaths, readBirth, readExit, readRecord, type Folders } from "./record.ts";

/**
 * One instance from what lies on disk and in procfs. Its first process and its supervisor are told from later processes
 * of the same number by their start times.
 */
export function observeInstance(folders: Folders, name: InstanceName): ObservedInstance | undefined {
  const parts = splitInstanceName(name);
  if (parts === undefined) return undefined;
  const paths = instancePaths(folders, name);
  const record = readRecord(paths);
  const birth = readBirth(paths);
  const base = {
    name,
    set: parts.set,
    process: parts.process,
    ordinal: parts.ordinal,
    digest: record?.digest ?? ("" as Digest),
    address: record?.address ?? null,
    port: record?.port ?? 0,
    startedAtMs: record?.startedAtMs ?? 0,
    orphaned: false,
  };
  const broken: ObservedInstance = { ...base, phase: "broken", pid: null, exit: null };
  if (record === undefined || birth === undefined) return broken;
  const exit = readExit(paths);
  if (exit !== undefined) return { ...base, phase: "exited", pid: null, exit };
  if (!isAlive(birth.supervisor)) {
    // It wrote down the end just before its own.
    const told = readExit(paths);
    if (told !== undefined) return { ...base, phase: "exited", pid: null, exit: told };
    if (!isAlive(birth.process)) return broken;
    return { ...base, phase: "running", pid: birth.process.pid, exit: null, orphaned: true };
  }
  // A process that is gone while its supervisor lives counts as running until the supervisor has told how it ended.
  return { ...base, phase: "running", pid: birth.process.pid, exit: null };
}
