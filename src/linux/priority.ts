import { readFileSync, writeFileSync } from "node:fs";
import { constants, setPriority } from "node:os";

/** Some ten times the share of what runs at 0. */
const sessionNice = -10;

/**
 * Lets a process that requests wait for, with its session, go before ordinary work. Where `sched_autogroup_enabled` is set,
 * the kernel shares the CPU out between sessions, and priorities count within one only; so it is the session that is raised.
 * Sessions made by what is in it begin at 0 again. One that another process leads, a person's shell, stays as it is, and so
 * does everything where the kernel knows no such thing or we may not.
 *
 * @see sched(7), "The autogroup feature"
 */
export function goFirst(pid: number): void {
  try {
    if (sessionOf(pid) === pid) writeFileSync(`/proc/${pid}/autogroup`, String(sessionNice));
  } catch {
    // Requests are served all the same, later on a busy machine.
  }
}

/** Lets a process that has time run at low priority; where it has threads or children already, they stay as they are. */
export function giveWay(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already.
  }
}

function sessionOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[3]);
}
