import { closeSync, fdatasyncSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { orDiskError } from "../../linux/disk.ts";

/**
 * Replaces a file so that after a crash it holds either all of the old bytes or all of the new ones. Synchronous: a
 * flip waits for it, and in the thread pool it would queue behind bulk work.
 */
export function writeDurable(path: string, text: string): void {
  renameSync(writeBeside(path, text, fdatasyncSync), path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/**
 * Replaces a file so that whoever opens it finds all of the old bytes or all of the new ones, without waiting for the
 * disk: after a power cut it may hold the old ones.
 */
export function replaceFile(path: string, text: string): void {
  renameSync(
    writeBeside(path, text, () => {}),
    path,
  );
}

/** Writes a file beside the one that it will replace. @returns its path */
function writeBeside(path: string, text: string, settle: (file: number) => void): string {
  const temporary = `${path}.tmp`;
  const bytes = Buffer.from(text);
  try {
    const file = openSync(temporary, "w", 0o600);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
      settle(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    discard(temporary);
    throw orDiskError(error, `write "${path}"`, dirname(path));
  }
  return temporary;
}

/** What was half-written takes room where there is little. */
function discard(temporary: string): void {
  try {
    rmSync(temporary, { force: true });
  } catch {
    // A read-only file system; the error that is thrown says so.
  }
}
