import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { diskError, OperatorError } from "../../errors/operator-error.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import type { Digest } from "../../model/canonical.ts";
import { freeBytes, whyNotWritable } from "../../linux/disk.ts";
import { lockHolder } from "./holder.ts";
import { keepLog, restoreLog } from "./kept-log.ts";

const sqliteBusy = 5;
const sqliteReadOnly = 8;
const sqliteInputOutput = 10;
const sqliteFull = 13;
const sqliteCannotOpen = 14;

interface Row {
  readonly seq: number;
  readonly at_ms: number;
  readonly prev: string;
  readonly hash: string;
  readonly data: string;
}

export const tableSql =
  "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL, data TEXT NOT NULL) STRICT";
export const insertSql = "INSERT INTO events (seq, at_ms, prev, hash, data) VALUES (?, ?, ?, ?, ?)";

export function ledgerPath(stateDir: string): string {
  return join(stateDir, "ledger.sqlite");
}

export interface OpenLedger {
  readonly connection: DatabaseSync;
  /** All events with `seq` greater than its parameter, in order. */
  readonly select: StatementSync;
}

/**
 * Opens the ledger's file and takes its lock; its log is kept under a second name until {@link forgetLog}.
 *
 * @param mayBeEmpty nothing was acknowledged yet: the table is made where it is not there
 * @throws {OperatorError} `LOCKED`, `LEDGER_DAMAGED`, `DISK_FULL`, `MACHINE_REFUSED`
 */
export function openLedger(file: string, stateDir: string, mayBeEmpty: boolean): OpenLedger {
  const connection = openLocked(file, stateDir);
  try {
    keepLog(file);
    // Where events were acknowledged a missing table is damage, and nothing is to be written over it.
    if (mayBeEmpty) connection.exec(tableSql);
    const select = connection.prepare("SELECT seq, at_ms, prev, hash, data FROM events WHERE seq > ? ORDER BY seq");
    return { connection, select };
  } catch (error) {
    connection.close();
    throw notOpened(error, file, stateDir);
  }
}

/** Of two that begin at the same moment each may find the other's lock: who looks again a while later comes through. */
const patienceMs = 500;
const longestPauseMs = 40;

function openLocked(file: string, stateDir: string): DatabaseSync {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const connection = new DatabaseSync(file);
    try {
      connection.exec("PRAGMA locking_mode=EXCLUSIVE");
      connection.exec("PRAGMA journal_mode=WAL");
      connection.exec("PRAGMA synchronous=FULL");
      // A write takes the lock; reading alone would leave a second daemon undetected.
      connection.exec("BEGIN IMMEDIATE; COMMIT");
      return connection;
    } catch (error) {
      connection.close();
      if (errcode(error) !== sqliteBusy) throw notOpened(error, file, stateDir);
      if (performance.now() > deadline) throw locked(error, file, stateDir);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1 + Math.random() * longestPauseMs);
  }
}

function locked(cause: unknown, file: string, stateDir: string): OperatorError {
  const holder = lockHolder(file);
  const who =
    holder === undefined
      ? "another process holds it"
      : `process ${holder.pid} holds it, which has run since ${new Date(holder.startedAtMs).toISOString()} (${holder.command})`;
  return new OperatorError("LOCKED", `Cannot open the ledger in "${stateDir}": ${who}`, {
    hint: "one daemon per state folder: use the one that runs, or give another folder with --state",
    cause,
    ...(holder === undefined ? {} : { details: holder }),
  });
}

function notOpened(error: unknown, file: string, stateDir: string): OperatorError {
  restoreLog(file);
  return refusalOf(error, `open the ledger in "${stateDir}"`, stateDir) ?? asDamage(file, error);
}

export function* readRows(select: StatementSync, after: number): Generator<LedgerEvent> {
  for (const row of select.iterate(after) as Iterable<unknown> as Iterable<Row>) {
    yield {
      seq: row.seq,
      atMs: row.at_ms,
      prev: row.prev as Digest,
      hash: row.hash as Digest,
      data: parseData(row),
    };
  }
}

function parseData(row: Row): LedgerEvent["data"] {
  try {
    return JSON.parse(row.data) as LedgerEvent["data"];
  } catch {
    throw new OperatorError("LEDGER_DAMAGED", `Cannot read event ${row.seq} of the ledger: it is not JSON`, {
      hint: damageHint(row.seq - 1),
      details: { lastGood: row.seq - 1 },
    });
  }
}

/** @param damage `after`: the last event that holds */
export function ledgerDamaged(
  file: string,
  { after, finding }: { readonly after: number; readonly finding: string },
): OperatorError {
  return new OperatorError("LEDGER_DAMAGED", `Cannot trust the ledger "${file}": ${finding}`, {
    hint: damageHint(after),
    details: { lastGood: after },
  });
}

function damageHint(lastGood: number): string {
  return `nothing was changed, and what runs goes on; restore the state folder from a backup, or go on without what came later: \`bronze doctor --repair --keep-events ${lastGood}\``;
}

/** Not even the first event can be read. */
function asDamage(file: string, error: unknown): OperatorError {
  const text = error instanceof Error ? error.message : String(error);
  return new OperatorError("LEDGER_DAMAGED", `Cannot read the ledger "${file}": ${text}`, {
    hint: damageHint(0),
    cause: error,
    details: { lastGood: 0 },
  });
}

/** The disk's refusal, where that is what SQLite reports. It keeps the cause to itself, so the folder is tried. */
export function refusalOf(error: unknown, action: string, stateDir: string): OperatorError | undefined {
  const code = errcode(error);
  if (code === sqliteFull) return diskError("ENOSPC", action, freeBytes(stateDir), error);
  if (code !== sqliteInputOutput && code !== sqliteReadOnly && code !== sqliteCannotOpen) return undefined;
  const trouble = whyNotWritable(stateDir);
  if (trouble === undefined && code !== sqliteInputOutput) return undefined;
  return diskError(trouble ?? "EIO", action, freeBytes(stateDir), error);
}

function errcode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown }).errcode;
  // Extended result codes carry the primary one in their low byte.
  return typeof code === "number" ? code & 0xff : undefined;
}
