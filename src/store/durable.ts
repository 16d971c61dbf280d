import { closeSync, constants, fsync, openSync, readdirSync, statfsSync } from "node:fs";
import { diskTrouble } from "../errors/disk.ts";
import { diskError, type OperatorError } from "../errors/operator-error.ts";

/** Makes names in a folder, and their absence, last. */
export function syncFolder(path: string): Promise<void> {
  return sync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

/** Makes a file's bytes last. */
export function syncFile(path: string): Promise<void> {
  return sync(path, constants.O_RDONLY);
}

/** Only what waits for the disk has a thread: waking one for opening and closing takes longer than they do. */
async function sync(path: string, flags: number): Promise<void> {
  const file = openSync(path, flags);
  return new Promise((resolve, reject) => {
    fsync(file, (error) => {
      closeSync(file);
      if (error === null) resolve();
      else reject(error);
    });
  });
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
