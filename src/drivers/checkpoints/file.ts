import { open, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readEntry, serialiseEntry, type CheckpointEntry } from "../../ledger/checkpoint.ts";
import { orDiskError } from "../../linux/disk.ts";
import { syncFolder } from "../../linux/files.ts";

/** Where a daemon keeps the checkpoints that it signed, a line each. */
export function checkpointsPath(stateDir: string): string {
  return join(stateDir, "checkpoints.jsonl");
}

/** The whole lines of a file; what a killed writer left after them does not count. */
async function wholeLines(path: string): Promise<Buffer> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return Buffer.alloc(0);
    throw error;
  });
  return bytes.subarray(0, bytes.lastIndexOf("\n") + 1);
}

/** The checkpoints that are kept, in the order in which they were made; lines that are none are given as what is wrong with them. */
export async function readCheckpoints(stateDir: string): Promise<readonly (CheckpointEntry | string)[]> {
  const lines = await wholeLines(checkpointsPath(stateDir));
  return lines.toString("utf8").split("\n").slice(0, -1).map(readEntry);
}

/**
 * Keeps one more, on disk when it resolves. One process does so: the daemon, which holds the ledger's lock.
 *
 * @throws {OperatorError} `DISK_FULL`, `MACHINE_REFUSED`
 */
export async function keepCheckpoint(stateDir: string, entry: CheckpointEntry): Promise<void> {
  const path = checkpointsPath(stateDir);
  try {
    const { length } = await wholeLines(path);
    const file = await open(path, length === 0 ? "w" : "r+", 0o644);
    try {
      await file.truncate(length);
      await file.write(`${serialiseEntry(entry)}\n`, length);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncFolder(dirname(path));
  } catch (error) {
    throw orDiskError(error, `keep a checkpoint in "${path}"`, stateDir);
  }
}
