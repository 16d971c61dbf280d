import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import type { StatementSync } from "node:sqlite";
import { diskTrouble } from "../../errors/disk.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { chainEvent, chainStart, verifyChain, type ChainCheck, type ChainHead } from "../../ledger/chain.ts";
import type { LedgerEvent, NewEvent } from "../../ledger/event.ts";
import { canonicalJson, type Digest, type Json } from "../../model/canonical.ts";
import type { Journal } from "../../ports/journal.ts";
import { orDiskError } from "../../linux/disk.ts";
import { openHeadFile, readHead, type HeadFile } from "./head-file.ts";
import { forgetLog, restoreLog } from "./kept-log.ts";
import { insertSql, ledgerDamaged, ledgerPath, openLedger, readRows, refusalOf } from "./ledger-file.ts";
import { createReserve, reserveFloor, type Reserve } from "./reserve.ts";

/** The journal with what only its daemon needs. */
export interface SqliteJournal extends Journal {
  /** Makes the reserve whole again where there is room; cheap, to be called now and then. @returns whether it is whole */
  keepReserve(): boolean;
}

/**
 * The ledger in SQLite: WAL, `synchronous=FULL`, held exclusively, so that a second daemon on the same folder is told.
 *
 * @param stateDir folder of `ledger.sqlite`; made when it is not there
 * @throws {OperatorError} `LOCKED` when another process holds it, `LEDGER_DAMAGED` when the stored events do not hold or
 *   acknowledged ones are missing, `DISK_FULL`, `MACHINE_REFUSED` when the disk does not take writes
 * @see https://www.sqlite.org/wal.html
 */
export function openSqliteJournal(stateDir: string): SqliteJournal {
  mkdirSync(stateDir, { recursive: true, mode: 0o711 });
  const file = ledgerPath(stateDir);
  const isNew = !existsSync(file);
  const acknowledged = readHead(stateDir) ?? chainStart;
  if (isNew && acknowledged.seq > 0)
    throw ledgerDamaged(file, { after: 0, finding: `it is gone, and ${countOf(acknowledged.seq)} were in it` });
  const reserve = createReserve(stateDir);
  restoreLog(file);
  const { connection, select } = openLedger(file, stateDir, acknowledged.seq === 0);
  let head: ChainHead;
  let headFile: HeadFile;
  try {
    if (isNew) syncFolder(stateDir);
    head = verified(file, select, acknowledged);
    headFile = openHead(stateDir, reserve);
    forgetLog(file);
  } catch (error) {
    connection.close();
    restoreLog(file);
    throw error;
  }
  const insert = connection.prepare(insertSql);
  headFile.write(head);
  reserve.keep();

  function insertAll(events: readonly NewEvent[]): LedgerEvent[] {
    const chained: LedgerEvent[] = [];
    let at = head;
    connection.exec("BEGIN IMMEDIATE");
    try {
      for (const event of events) {
        const next = chainEvent(at, event);
        insert.run(next.seq, next.atMs, next.prev, next.hash, canonicalJson(next.data as unknown as Json));
        chained.push(next);
        at = next;
      }
      connection.exec("COMMIT");
    } catch (error) {
      if (connection.isTransaction) connection.exec("ROLLBACK");
      throw error;
    }
    head = { seq: at.seq, hash: at.hash };
    return chained;
  }

  function append(events: readonly NewEvent[]): readonly LedgerEvent[] {
    if (events.length === 0) return [];
    const floor = reserveFloor(events);
    for (;;) {
      try {
        return insertAll(events);
      } catch (error) {
        const refusal = refusalOf(error, `record in "${file}"`, stateDir);
        if (refusal === undefined) throw error;
        if (refusal.code !== "DISK_FULL" || floor === undefined || !reserve.give(floor)) throw refusal;
      }
    }
  }

  return {
    append(events) {
      const appended = append(events);
      headFile.write(head);
      return appended;
    },
    appendIntent(events) {
      // Without waiting for the disk: the next commit that waits covers all that came before it in the log. Until then
      // a power cut may take it, so it does not count as acknowledged.
      connection.exec("PRAGMA synchronous=NORMAL");
      try {
        return append(events);
      } finally {
        connection.exec("PRAGMA synchronous=FULL");
      }
    },
    *read(after = 0) {
      // From its beginning it is read to be checked: what SQLite remembers of the file is not what the file holds.
      if (after === 0) connection.exec("PRAGMA shrink_memory");
      yield* readRows(select, after);
    },
    keepReserve: () => reserve.keep(),
    close() {
      connection.close();
      headFile.write(head);
      headFile.close();
    },
  };
}

/** Where one that could not be opened for want of a block gets it from the reserve. */
function openHead(stateDir: string, reserve: Reserve): HeadFile {
  for (;;) {
    try {
      return openHeadFile(stateDir);
    } catch (error) {
      if (diskTrouble(error) !== "ENOSPC" || !reserve.give(0))
        throw orDiskError(error, `write in "${stateDir}"`, stateDir);
    }
  }
}

/** Goes through all events. @returns where the chain ends, which is not before what was acknowledged */
function verified(file: string, select: StatementSync, acknowledged: ChainHead): ChainHead {
  let found: Digest | undefined;
  function* watched(): Generator<LedgerEvent> {
    for (const event of readRows(select, 0)) {
      if (event.seq === acknowledged.seq) found = event.hash;
      yield event;
      last = event.seq;
    }
  }
  let last = 0;
  let checked: ChainCheck;
  try {
    checked = verifyChain(watched());
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw ledgerDamaged(file, { after: last, finding: error instanceof Error ? error.message : String(error) });
  }
  const { head, damage } = checked;
  if (damage !== null) throw ledgerDamaged(file, { after: head.seq, finding: damage.finding });
  if (head.seq < acknowledged.seq) {
    const lost = acknowledged.seq - head.seq;
    throw ledgerDamaged(file, {
      after: head.seq,
      finding: `event ${head.seq + 1}${lost === 1 ? "" : ` to ${acknowledged.seq}`} ${lost === 1 ? "is" : "are"} missing, and ${lost === 1 ? "was" : "were"} acknowledged: its log was cut, altered or taken away`,
    });
  }
  if (acknowledged.seq > 0 && found !== acknowledged.hash) {
    throw ledgerDamaged(file, {
      after: acknowledged.seq - 1,
      finding: `event ${acknowledged.seq} is another than the one that was acknowledged`,
    });
  }
  return head;
}

function countOf(events: number): string {
  return events === 1 ? "1 event" : `${events} events`;
}

function syncFolder(path: string): void {
  for (const folder of [path, dirname(path)]) {
    const fd = openSync(folder, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}
