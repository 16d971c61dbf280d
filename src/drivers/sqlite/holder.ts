import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { printable } from "../../errors/redact.ts";

/** A process that holds a lock on a file. */
export interface LockHolder {
  readonly pid: number;
  readonly command: string;
  /** ms since the epoch. */
  readonly startedAtMs: number;
}

/** Clock ticks in a second; the kernel tells user space no other. @see proc_pid_stat(5), sysconf(3) */
const ticksPerSecond = 100;

/**
 * Who holds a lock on a file, from the kernel itself: what a process wrote down may be out of date, and its number
 * another's by now.
 *
 * @returns undefined when nobody does, or nobody that this process can see (another pid namespace)
 * @see proc_locks(5)
 */
export function lockHolder(path: string): LockHolder | undefined {
  try {
    const { dev, ino } = statSync(path);
    const pids = readFileSync("/proc/locks", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[5]?.endsWith(`:${ino}`) === true)
      .map((fields) => Number(fields[4]));
    const pid = pids.find((one) => one > 0 && one !== process.pid && hasOpen(one, dev, ino));
    return pid === undefined ? undefined : describe(pid);
  } catch {
    // Gone while it was looked at, or no procfs.
    return undefined;
  }
}

/** The device in /proc/locks is not always the one that stat tells (btrfs, overlayfs): the open file decides. */
function hasOpen(pid: number, dev: number, ino: number): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    const file = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false });
    return file?.dev === dev && file.ino === ino;
  });
}

function describe(pid: number): LockHolder {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const start = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  const bootedAtS = Number(/^btime ([0-9]+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1]);
  const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
  const command = words.length > 0 ? words.join(" ") : readlinkSync(`/proc/${pid}/exe`);
  return {
    pid,
    command: printable(command).slice(0, 200),
    startedAtMs: (bootedAtS + start / ticksPerSecond) * 1000,
  };
}
