import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * Does work in a new folder `PARENT/PID-RANDOM`, which is gone afterwards; folders of processes that were killed go at
 * the next use.
 *
 * @param adopt looks at an abandoned folder before it is removed
 */
export async function inWorkDir<Result>(
  parent: string,
  work: (dir: string) => Promise<Result>,
  adopt?: (abandoned: string, dir: string) => Promise<void>,
): Promise<Result> {
  await mkdir(parent, { recursive: true });
  const dir = join(parent, `${process.pid}-${randomBytes(4).toString("hex")}`);
  await mkdir(dir);
  // Programs of other users work in it, whatever the umask.
  await chmod(dir, 0o755);
  try {
    for (const name of await readdir(parent)) {
      const pid = Number(name.split("-")[0]);
      if (Number.isInteger(pid) && isAlive(pid)) continue;
      await adopt?.(join(parent, name), dir);
      await rm(join(parent, name), { recursive: true, force: true });
    }
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
