import { chmod, chown, mkdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { digestHex, sha256 } from "../../model/canonical.ts";
import type { StepMount } from "../../ports/step-runner.ts";
import { takeLock, type HeldLock } from "../../linux/lock.ts";

type CacheMount = Extract<StepMount, { readonly kind: "cache" }>;

/** Steps that want a folder for themselves alone at the same moment are few. */
const mostPrivate = 1000;

/**
 * The folder of a cache mount, for as long as the step holds it. Folders are `DIR/HEX`, HEX being the sha256 of the id; of one that is
 * private there are more, `DIR/HEX-N`, as many as were wanted at once. Each is locked while it is in use.
 *
 * @param dir of all cache mounts; folders in it that nobody has locked may be deleted
 */
export async function holdCacheFolder(
  dir: string,
  mount: CacheMount,
  signal: AbortSignal,
): Promise<{ readonly folder: string; readonly lock: HeldLock }> {
  const name = digestHex(sha256(mount.id));
  if (mount.sharing !== "private") {
    const folder = await makeFolder(join(dir, name), mount);
    const lock = await takeLock(folder, mount.sharing === "locked" ? "exclusive" : "shared", { wait: true, signal });
    if (lock !== undefined) return { folder, lock };
    throw new Error(`flock gave up waiting for ${folder}`);
  }
  for (let number = 0; number < mostPrivate; number += 1) {
    const folder = await makeFolder(join(dir, number === 0 ? name : `${name}-${number}`), mount);
    const lock = await takeLock(folder, "exclusive", { wait: false, signal });
    if (lock !== undefined) return { folder, lock };
  }
  throw new Error(`more than ${mostPrivate} steps want the cache "${mount.id}" for themselves`);
}

async function makeFolder(folder: string, mount: CacheMount): Promise<string> {
  if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) {
    await chown(folder, mount.uid, mount.gid);
    await chmod(folder, mount.mode);
  }
  // Least recently used ones go first.
  const now = new Date();
  await utimes(folder, now, now);
  return folder;
}
