import { randomBytes } from "node:crypto";
import { chmod, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { leftByDead, thisProcess } from "../../store/temporary.ts";

/**
 * Does work in a new folder in `parent`, which is gone afterwards; folders of processes that were killed go at the next
 * use.
 *
 * @param adopt looks at an abandoned folder before it is removed
 */
export async function inWorkDir<Result>(
  parent: string,
  work: (dir: string) => Promise<Result>,
  adopt?: (abandoned: string, dir: string) => Promise<void>,
): Promise<Result> {
  await mkdir(parent, { recursive: true });
  const dir = join(parent, `${thisProcess()}-${randomBytes(8).toString("hex")}`);
  await mkdir(dir);
  try {
    // Programs of other users work in it, whatever the umask.
    await chmod(dir, 0o755);
    for (const abandoned of leftByDead(parent)) {
      await adopt?.(abandoned, dir);
      await rm(abandoned, { recursive: true, force: true });
    }
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
