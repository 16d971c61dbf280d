import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OperatorError } from "../../errors/operator-error.ts";
import { chainEvent, chainStart, verifyChain, type ChainHead } from "../../ledger/chain.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import { canonicalJson, type Json } from "../../model/canonical.ts";
import { headPath, openHeadFile } from "./head-file.ts";
import { restoreLog } from "./kept-log.ts";
import { insertSql, ledgerPath, openLedger, readRows, tableSql, type OpenLedger } from "./ledger-file.ts";

export interface Salvaged {
  readonly kept: number;
  /** Where the damaged files lie. */
  readonly aside: string;
}

/**
 * Replaces a damaged ledger by one of its first events, all verified, followed by an event that says so. The damaged files
 * are kept. At every moment on the way there is either the old ledger, found damaged, or the new one.
 *
 * @param keep how many events to keep: a person's explicit word, since the rest is dropped
 * @throws {OperatorError} `ARGUMENT_INVALID` when not that many hold, `LOCKED`
 */
export function salvageLedger(
  stateDir: string,
  keep: number,
  by: { readonly who: string; readonly atMs: number },
): Salvaged {
  const file = ledgerPath(stateDir);
  const aside = freeFolder(stateDir);
  const fresh = `${file}.salvaged`;
  rmSync(fresh, { force: true });
  const head = copyFirst(stateDir, file, fresh, keep, { ...by, aside });
  mkdirSync(aside, { mode: 0o700 });
  if (existsSync(headPath(stateDir))) copyFileSync(headPath(stateDir), join(aside, "ledger.head"));
  if (existsSync(file)) linkSync(file, join(aside, "ledger.sqlite"));
  if (existsSync(`${file}-wal`)) renameSync(`${file}-wal`, join(aside, "ledger.sqlite-wal"));
  syncFolder(aside);
  renameSync(fresh, file);
  syncFolder(stateDir);
  const headFile = openHeadFile(stateDir);
  headFile.write(head);
  headFile.close();
  return { kept: keep, aside };
}

function copyFirst(
  stateDir: string,
  file: string,
  fresh: string,
  keep: number,
  by: { readonly who: string; readonly atMs: number; readonly aside: string },
): ChainHead {
  const events = readFirst(stateDir, file, keep);
  const { head, damage } = verifyChain(events);
  if (damage !== null || head.seq !== keep) {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot keep ${keep} events: only the first ${head.seq} hold`, {
      hint: `bronze doctor --repair --keep-events ${head.seq}`,
    });
  }
  const { who, atMs, aside } = by;
  const last = chainEvent(head.seq === 0 ? chainStart : head, {
    atMs,
    data: { kind: "ledger.salvaged", kept: keep, aside, who },
  });
  const database = new DatabaseSync(fresh);
  try {
    database.exec("PRAGMA synchronous=FULL");
    database.exec("BEGIN");
    database.exec(tableSql);
    const insert = database.prepare(insertSql);
    for (const { seq, atMs: at, prev, hash, data } of [...events, last])
      insert.run(seq, at, prev, hash, canonicalJson(data as unknown as Json));
    database.exec("COMMIT");
  } finally {
    database.close();
  }
  return { seq: last.seq, hash: last.hash };
}

function readFirst(stateDir: string, file: string, keep: number): readonly LedgerEvent[] {
  restoreLog(file);
  let ledger: OpenLedger;
  try {
    ledger = openLedger(file, stateDir, false);
  } catch (error) {
    // Where nothing can be read, nothing can be kept; but one that another process holds is none of ours.
    if (error instanceof OperatorError && error.code === "LEDGER_DAMAGED") return [];
    throw error;
  }
  const { connection, select } = ledger;
  const events: LedgerEvent[] = [];
  try {
    for (const event of readRows(select, 0)) {
      if (event.seq > keep) break;
      events.push(event);
    }
  } catch {
    // What cannot be read ends what can be kept; the caller compares.
  } finally {
    connection.close();
    restoreLog(file);
  }
  return events;
}

/** A name of its own for each salvage, so that none overwrites what an earlier one kept. */
function freeFolder(stateDir: string): string {
  for (let index = 1; ; index += 1) {
    const folder = join(stateDir, `ledger.damaged-${index}`);
    if (!existsSync(folder)) return folder;
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
