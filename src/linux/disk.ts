import { closeSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { diskTrouble, type DiskTrouble } from "../errors/disk.ts";
import { diskError, OperatorError } from "../errors/operator-error.ts";

/** Bytes that may still be written to the file system of a folder; undefined where it does not say. */
export function freeBytes(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** Why a folder takes no bytes, found out by writing some; undefined: it takes them. */
export function whyNotWritable(folder: string): DiskTrouble | undefined {
  const probe = join(folder, `.write-probe-${process.pid}`);
  try {
    const fd = openSync(probe, "w", 0o600);
    try {
      writeSync(fd, Buffer.alloc(4096));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    return undefined;
  } catch (error) {
    return diskTrouble(error);
  } finally {
    try {
      rmSync(probe, { force: true });
    } catch {
      // A read-only file system lets nothing be removed, and nothing was written to it either.
    }
  }
}

/** What was thrown, as the error of a disk that takes no bytes where it is one; anything else as it is. */
export function orDiskError(thrown: unknown, action: string, folder: string): unknown {
  const trouble = thrown instanceof OperatorError ? undefined : diskTrouble(thrown);
  return trouble === undefined ? thrown : diskError(trouble, action, freeBytes(folder), thrown);
}
