import { statfsSync } from "node:fs";
import { readMounts } from "../../linux/mountinfo.ts";
import { isAlive, type ProcessIdentity } from "../../linux/processes.ts";
import type { InstanceName } from "../../model/names.ts";
import type { UnkeptPlace } from "../../ports/runtime.ts";
import { instancePaths, readBirth, type Folders } from "./record.ts";

/**
 * What an instance has in file systems of memory, told by the file systems themselves: a few system calls, whatever the
 * number of files. Where they are is read from the instance's mounts, which have no links in them.
 */
export function unkeptPlaces(folders: Folders, name: InstanceName): readonly UnkeptPlace[] {
  const first = readBirth(instancePaths(folders, name))?.process;
  if (first === undefined || !isAlive(first)) return [];
  try {
    return readMounts(first.pid)
      .filter(({ type, root, options }) => type === "tmpfs" && root === "/" && options.split(",")[0] === "rw")
      .filter(({ target }) => target !== "/dev")
      .flatMap(({ target }) => placeOf(first, target));
  } catch (error) {
    // It ended while it was looked at.
    if (!isAlive(first)) return [];
    throw error;
  }
}

function placeOf({ pid }: ProcessIdentity, path: string): readonly UnkeptPlace[] {
  const { blocks, bfree, bsize, files, ffree } = statfsSync(`/proc/${pid}/root${path}`);
  // Its own top counts as one.
  const count = files - ffree - 1;
  return count <= 0 ? [] : [{ path, bytes: (blocks - bfree) * bsize, files: count }];
}
