import { constants, readdirSync, statfsSync } from "node:fs";
import { open } from "node:fs/promises";
import { diskTrouble } from "../errors/disk.ts";
import { diskError, type OperatorError } from "../errors/operator-error.ts";

/** Makes names in a folder, and their absence, last. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** For `catch`: what is not there is undefined, any other error stays one. */
export function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}

/** Names in a folder, without a thread, which would take longer to wake than reading does. @returns undefined where it is not there */
export function namesIn(folder: string): readonly string[] | undefined {
  try {
    return readdirSync(folder);
  } catch (error) {
    return ignoreMissing(error as NodeJS.ErrnoException);
  }
}

/** The error for people where the disk of a folder took no bytes; undefined for any other. @param name what the folder is */
export function refusedByDisk(error: unknown, dir: string, name = "store"): OperatorError | undefined {
  const trouble = diskTrouble(error);
  if (trouble === undefined) return undefined;
  let free: number | undefined;
  try {
    const { bavail, bsize } = statfsSync(dir);
    free = bavail * bsize;
  } catch {
    // Not known, then.
  }
  return diskError(trouble, `write to the ${name} in "${dir}"`, free, error);
}
