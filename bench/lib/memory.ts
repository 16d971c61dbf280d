import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What a process holds in memory: its own, and its share of what it shares; 0 when it is gone. */
export function pssBytes(pid: number): number {
  const rollup = readOrNothing(`/proc/${pid}/smaps_rollup`);
  return Number(/^Pss:\s+([0-9]+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
}

/** Peak of what a process and all that it started hold at the same time. */
export interface Peak {
  readonly bytes: number;
  /** Who held how much at that moment. */
  readonly holders: readonly { readonly name: string; readonly bytes: number }[];
}

/**
 * Looks every few ms at a process and all its descendants in this process namespace: what is in another one is the
 * user's own program.
 *
 * @returns ends the looking
 */
export function watchPeak(root: number, everyMs = 10): () => Peak {
  const namespace = readlinkSync("/proc/self/ns/pid");
  let peak: Peak = { bytes: 0, holders: [] };
  const timer = setInterval(() => {
    const holders = familyOf(root, namespace).map((pid) => ({
      name: readOrNothing(`/proc/${pid}/comm`).trim(),
      bytes: pssBytes(pid),
    }));
    const bytes = holders.reduce((sum, holder) => sum + holder.bytes, 0);
    if (bytes > peak.bytes) peak = { bytes, holders };
  }, everyMs);
  return () => {
    clearInterval(timer);
    return peak;
  };
}

function familyOf(pid: number, namespace: string): readonly number[] {
  if (!isIn(namespace, pid)) return [];
  // Each thread lists the children that it started. @see proc_pid_task(5), needs CONFIG_PROC_CHILDREN
  const children = threadsOf(pid).flatMap((thread) =>
    readOrNothing(`/proc/${pid}/task/${thread}/children`)
      .split(" ")
      .filter((text) => text !== "")
      .map(Number),
  );
  return [pid, ...children.flatMap((child) => familyOf(child, namespace))];
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function isIn(namespace: string, pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`) === namespace;
  } catch {
    return false;
  }
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
