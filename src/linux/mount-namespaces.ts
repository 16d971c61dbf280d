import { readdirSync, readlinkSync } from "node:fs";
import { readMounts, type MountEntry } from "./mountinfo.ts";

/** A folder of a file system, as mounts of it are told from others. */
export interface Mounted {
  /** `major:minor` of the superblock. */
  readonly device: string;
  /** Path from the top of that file system. */
  readonly root: string;
}

/** What a mount of this folder elsewhere would show as its origin. */
export function mountedAs(path: string, mounts: readonly MountEntry[] = readMounts()): Mounted | undefined {
  let best: MountEntry | undefined;
  for (const mount of mounts) {
    const isAbove = mount.target === "/" || path === mount.target || path.startsWith(`${mount.target}/`);
    // What was mounted later lies on top.
    if (isAbove && mount.target.length >= (best?.target.length ?? 0)) best = mount;
  }
  if (best === undefined) return undefined;
  const rest = best.target === "/" ? path : path.slice(best.target.length);
  return { device: best.device, root: `${best.root === "/" ? "" : best.root}${rest}` || "/" };
}

/** Processes, one of each mount namespace but ours, that have a folder mounted at some place of their own. */
export function processesWithMount(path: string): readonly number[] {
  const wanted = mountedAs(path);
  if (wanted === undefined) return [];
  const seen = new Set<string>([namespaceOf("self") ?? ""]);
  return readdirSync("/proc").flatMap((entry) => {
    const pid = Number(entry);
    const namespace = Number.isInteger(pid) ? namespaceOf(pid) : undefined;
    if (namespace === undefined || seen.has(namespace)) return [];
    seen.add(namespace);
    try {
      const has = readMounts(pid).some(
        ({ device, root, target }) => device === wanted.device && root === wanted.root && target !== path,
      );
      return has ? [pid] : [];
    } catch {
      // It ended while it was looked at; another of its namespace may be there yet.
      seen.delete(namespace);
      return [];
    }
  });
}

function namespaceOf(pid: number | "self"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}
