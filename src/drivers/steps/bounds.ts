import { controllerFile } from "../../linux/cgroups.ts";
import { freeBytes } from "../../linux/disk.ts";
import { readText } from "../../linux/files.ts";

const everyMs = 200;

/** What a step has come up against. */
export interface Bounds {
  /** It wanted more processes than it may have. */
  readonly tooManyProcesses: boolean;
  /** Least that was free on the disk it writes to, in bytes, as far as it was looked at. */
  readonly leastFreeBytes: number;
}

export interface BoundsWatch {
  reached(): Bounds;
  stop(): void;
}

/**
 * Looks now and then at what a step takes of the machine.
 *
 * @param onTooManyProcesses called once: programs that start others without end do not end by themselves
 */
export function watchBounds(cgroup: string, folder: string, onTooManyProcesses: () => void): BoundsWatch {
  const events = controllerFile(cgroup, "pids", "pids.events");
  let tooManyProcesses = false;
  let leastFreeBytes = Infinity;
  const look = (): void => {
    leastFreeBytes = Math.min(leastFreeBytes, freeBytes(folder) ?? Infinity);
    if (tooManyProcesses || events === undefined) return;
    if (Number(/^max ([0-9]+)$/m.exec(readText(events) ?? "")?.[1] ?? 0) === 0) return;
    tooManyProcesses = true;
    onTooManyProcesses();
  };
  const timer = setInterval(look, everyMs);
  return {
    reached() {
      look();
      return { tooManyProcesses, leastFreeBytes };
    },
    stop: () => clearInterval(timer),
  };
}
