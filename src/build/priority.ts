import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

/**
 * Runs work that has time at low priority: what serves requests, and who flips them, goes first. Programs that the work
 * starts inherit it.
 */
export async function givingWay<Result>(work: () => Promise<Result>): Promise<Result> {
  const before = getPriority();
  renice(Math.max(before, constants.priority.PRIORITY_BELOW_NORMAL));
  try {
    return await work();
  } finally {
    renice(before);
  }
}

/** Every thread of this process: the kernel keeps priorities by thread. @see setpriority(2), "C library/kernel differences" */
function renice(priority: number): void {
  for (const thread of readdirSync("/proc/self/task")) {
    try {
      setPriority(Number(thread), priority);
    } catch {
      // It has ended, or only root may raise it again: then the rest of this command goes on slowly.
    }
  }
}
