import { splitInstanceName, type InstanceName, type ProcessName } from "../model/names.ts";
import { nextOrdinalOf, type SetRecord } from "./state.ts";

/** Exits in a row, all of one moment counted once: decides how long to wait before the next start. */
export interface Crashes {
  readonly count: number;
  readonly atMs: number;
  /** Of the first instance that is not of that moment. */
  readonly beforeOrdinal: number;
  /** How the newest that counted came to its end, in words that follow its name. */
  readonly last: string;
}

/** Crashes further apart than this do not belong together, in ms. */
export const crashMemoryMs = 180_000;

const noCrashes: Crashes = { count: 0, atMs: 0, beforeOrdinal: 0, last: "" };

export function crashesOf(set: SetRecord, process: ProcessName): Crashes {
  return set.crashes.get(process) ?? noCrashes;
}

/** Counts an instance's end. @param last how it came to it, in words that follow its name */
export function countExit(set: SetRecord, instance: InstanceName, atMs: number, last: string): void {
  const parts = splitInstanceName(instance);
  if (parts !== undefined) countCrash(set, parts.process, parts.ordinal, atMs, last);
}

/** Counts that the newest instances of a process could not be started. */
export function countFailedStart(set: SetRecord, process: ProcessName, atMs: number, reason: string): void {
  countCrash(set, process, nextOrdinalOf(set, process) - 1, atMs, `could not be started: ${reason}`);
}

/** `exited with status 137, out of memory` */
export function exitText({
  code,
  outOfMemory,
}: {
  readonly code: number | null;
  readonly outOfMemory: boolean;
}): string {
  return `exited with status ${code ?? "unknown"}${outOfMemory ? ", out of memory" : ""}`;
}

/** Exits of one process's instances that ran side by side are one crash; each later generation that exits is one more. */
function countCrash(set: SetRecord, process: ProcessName, ordinal: number, atMs: number, last: string): void {
  const crashes = crashesOf(set, process);
  const isRecent = atMs - crashes.atMs < crashMemoryMs;
  if (ordinal < crashes.beforeOrdinal && isRecent) return;
  const count = isRecent ? crashes.count + 1 : 1;
  set.crashes.set(process, { count, atMs, beforeOrdinal: nextOrdinalOf(set, process), last });
}
