import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const mostInMemory = 2 ** 20;
const mostOnDisk = 256 * 2 ** 20;

/** The output of a step that runs, for the case that it fails: the last of it in memory, all of it on disk where it is much. */
export interface KeptOutput {
  add(bytes: Buffer): void;
  /** The step failed. `file` has everything where `bytes` is only the end. */
  keep(): { readonly bytes: Buffer; readonly file: string | undefined };
  /** The step succeeded. */
  forget(): void;
}

/** @param folder where long outputs go; what dead processes left there is removed when the next one is written */
export function createKeptOutput(folder: string): KeptOutput {
  let pieces: Buffer[] = [];
  let inMemory = 0;
  let onDisk = 0;
  let log: { readonly path: string; readonly fd: number } | undefined;
  let cannotLog = false;

  const write = (bytes: Buffer): void => {
    if (log === undefined || onDisk + bytes.byteLength > mostOnDisk) return;
    try {
      for (let at = 0; at < bytes.byteLength;) at += writeSync(log.fd, bytes, at);
      onDisk += bytes.byteLength;
    } catch {
      // Telling about the step matters less than the step: a full disk ends the log only.
      forget();
      cannotLog = true;
    }
  };
  const forget = (): void => {
    if (log === undefined) return;
    closeSync(log.fd);
    rmSync(log.path, { force: true });
    log = undefined;
  };
  return {
    add(bytes) {
      pieces.push(Buffer.from(bytes));
      inMemory += bytes.byteLength;
      if (log !== undefined) write(bytes);
      if (inMemory <= 2 * mostInMemory) return;
      const all = Buffer.concat(pieces);
      if (log === undefined && !cannotLog) {
        log = openLog(folder);
        if (log === undefined) cannotLog = true;
        else write(all);
      }
      // A copy, so that the long buffer is let go.
      pieces = [Buffer.from(all.subarray(-mostInMemory))];
      inMemory = mostInMemory;
    },
    keep() {
      const file = log?.path;
      if (log !== undefined) closeSync(log.fd);
      log = undefined;
      return { bytes: Buffer.concat(pieces), file };
    },
    forget,
  };
}

let number = 0;

function openLog(folder: string): { readonly path: string; readonly fd: number } | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder)) {
      if (!isAlive(Number(name.split("-")[0]))) rmSync(join(folder, name), { force: true });
    }
    const path = join(folder, `${process.pid}-${(number += 1)}.log`);
    return { path, fd: openSync(path, "w", 0o600) };
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
