import { existsSync, linkSync, renameSync, rmSync, statSync } from "node:fs";

/**
 * SQLite takes its write-ahead log away when it closes a database, with the frames it could not read. While it is not known
 * whether the ledger holds, a second name keeps the log, so that a damaged ledger is left as it was found.
 */
const logOf = (file: string): string => `${file}-wal`;
const keptOf = (file: string): string => `${logOf(file)}.kept`;

/** Gives the log its second name. Under the database's lock. */
export function keepLog(file: string): void {
  try {
    if ((statSync(logOf(file), { throwIfNoEntry: false })?.size ?? 0) > 0) linkSync(logOf(file), keptOf(file));
  } catch {
    // There from an opening that was killed, or a file system without links or room: then SQLite's own way has to do.
  }
}

/** Takes the second name away: the ledger holds. */
export function forgetLog(file: string): void {
  rmSync(keptOf(file), { force: true });
}

/** Puts a kept log back after the database was closed, or before it is opened after a killed opening. */
export function restoreLog(file: string): void {
  if (!existsSync(keptOf(file))) return;
  // Two names of one file: nothing is to be put back.
  if (existsSync(logOf(file))) forgetLog(file);
  else renameSync(keptOf(file), logOf(file));
}
