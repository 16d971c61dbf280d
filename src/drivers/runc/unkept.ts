import { statfsSync } from "node:fs";
import { readMounts } from "../../linux/mountinfo.ts";
import { isAlive, type ProcessIdentity } from "../../linux/processes.ts";
import type { InstanceName } from "../../model/names.ts";
import type { UnkeptPlace } from "../../model/api/status.ts";
import { instancePaths, readBirth, type Folders } from "./record.ts";

/**
 * What an instance has in file systems of memory, told by the file systems themselves: a few system calls, whatever the
 * number of files. Where they are is read from the instance's mounts, which have no links in them.
 */
export function unkeptPlaces(folders: Folders, name: InstanceName): readonly UnkeptPlace[] {
  const first = readBirth(instancePaths(folders, name))?.process;
  if (first === undefined || !isAlive(first)) return [];
  try {
    return targetsOf(name, first).flatMap((target) => placeOf(first, target));
  } catch (error) {
    // It ended while it was looked at.
    if (!isAlive(first)) return [];
    throw error;
  }
}

/** They are the same for as long as an instance lives: whether they are is what the look for drift tells. */
const known = new Map<InstanceName, { readonly of: ProcessIdentity; readonly targets: readonly string[] }>();
const mostKnown = 2_000;

function targetsOf(name: InstanceName, first: ProcessIdentity): readonly string[] {
  const before = known.get(name);
  if (before?.of.pid === first.pid && before.of.start === first.start) return before.targets;
  const targets = readMounts(first.pid)
    .filter(({ type, root, options }) => type === "tmpfs" && root === "/" && options.split(",")[0] === "rw")
    .map(({ target }) => target)
    .filter((target) => target !== "/dev");
  if (known.size >= mostKnown) known.clear();
  known.set(name, { of: first, targets });
  return targets;
}

function placeOf({ pid }: ProcessIdentity, path: string): readonly UnkeptPlace[] {
  const { blocks, bfree, bsize, files, ffree } = statfsSync(`/proc/${pid}/root${path}`);
  // Its own top counts as one.
  const count = files - ffree - 1;
  return count <= 0 ? [] : [{ path, bytes: (blocks - bfree) * bsize, files: count }];
}
