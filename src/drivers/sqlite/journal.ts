import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OperatorError } from "../../errors/operator-error.ts";
import { chainEvent, chainStart, verifyChain, type ChainHead } from "../../ledger/chain.ts";
import type { LedgerEvent, NewEvent } from "../../ledger/event.ts";
import { canonicalJson, type Digest, type Json } from "../../model/canonical.ts";
import type { Journal } from "../../ports/journal.ts";

/** Room that is given up when the disk is full, so that what ends an operation can still be recorded. */
const reserveBytes = 1024 * 1024;
const sqliteFull = 13;
const sqliteBusy = 5;

interface Row {
  readonly seq: number;
  readonly at_ms: number;
  readonly prev: string;
  readonly hash: string;
  readonly data: string;
}

/**
 * The ledger in SQLite: WAL, `synchronous=FULL`, held exclusively, so that a second daemon on the same folder is told.
 *
 * @param stateDir folder of `ledger.sqlite`; made when it is not there
 * @throws {OperatorError} `LOCKED` when another process holds it, `LEDGER_DAMAGED` when the stored events do not hold
 * @see https://www.sqlite.org/wal.html
 */
export function openSqliteJournal(stateDir: string): Journal {
  mkdirSync(stateDir, { recursive: true, mode: 0o711 });
  const file = join(stateDir, "ledger.sqlite");
  const isNew = !existsSync(file);
  const reserve = join(stateDir, "reserve");
  const database = openExclusively(file, stateDir);
  if (isNew) syncFolder(stateDir);
  const insert = database.prepare("INSERT INTO events (seq, at_ms, prev, hash, data) VALUES (?, ?, ?, ?, ?)");
  const select = database.prepare("SELECT seq, at_ms, prev, hash, data FROM events WHERE seq > ? ORDER BY seq");
  let head: ChainHead = chainStart;
  try {
    const check = verifyChain(readRows(select, 0));
    if (check.damage !== null) throw damaged(file, check.damage.finding);
    head = check.head;
  } catch (error) {
    database.close();
    throw error instanceof OperatorError
      ? error
      : damaged(file, error instanceof Error ? error.message : String(error));
  }
  keepReserve(reserve);

  function insertAll(events: readonly NewEvent[]): LedgerEvent[] {
    const chained: LedgerEvent[] = [];
    let at = head;
    database.exec("BEGIN IMMEDIATE");
    try {
      for (const event of events) {
        const next = chainEvent(at, event);
        insert.run(next.seq, next.atMs, next.prev, next.hash, canonicalJson(next.data as unknown as Json));
        chained.push(next);
        at = next;
      }
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
    head = { seq: at.seq, hash: at.hash };
    return chained;
  }

  function append(events: readonly NewEvent[]): readonly LedgerEvent[] {
    if (events.length === 0) return [];
    try {
      return insertAll(events);
    } catch (error) {
      if (errcode(error) !== sqliteFull) throw error;
      if (isEnding(events) && existsSync(reserve)) {
        rmSync(reserve);
        return insertAll(events);
      }
      throw new OperatorError("DISK_FULL", `Cannot record in "${file}": the disk is full, nothing was written`, {
        hint: "make room on that disk and run the command again; what runs goes on",
        cause: error,
      });
    }
  }

  return {
    append,
    appendIntent(events) {
      // Without waiting for the disk: the next commit that waits covers all that came before it in the log.
      database.exec("PRAGMA synchronous=NORMAL");
      try {
        return append(events);
      } finally {
        database.exec("PRAGMA synchronous=FULL");
      }
    },
    *read(after = 0) {
      yield* readRows(select, after);
    },
    close() {
      database.close();
      rmSync(holderFile(stateDir), { force: true });
    },
  };
}

function openExclusively(file: string, stateDir: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    database.exec("PRAGMA locking_mode=EXCLUSIVE");
    database.exec("PRAGMA journal_mode=WAL");
    database.exec("PRAGMA synchronous=FULL");
    database.exec(
      "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL, data TEXT NOT NULL) STRICT",
    );
    // A write takes the lock; reading alone would leave a second daemon undetected.
    database.exec("BEGIN IMMEDIATE; COMMIT");
  } catch (error) {
    database.close();
    if (errcode(error) === sqliteBusy) {
      throw new OperatorError("LOCKED", `Cannot open the ledger in "${stateDir}": ${holderText(stateDir)} holds it`, {
        hint: "one daemon per state folder: use the one that runs, or give another folder with --state",
        cause: error,
      });
    }
    if (errcode(error) === sqliteFull) {
      throw new OperatorError("DISK_FULL", `Cannot open the ledger in "${stateDir}": the disk is full`, {
        hint: "make room on that disk and start again",
        cause: error,
      });
    }
    throw damaged(file, error instanceof Error ? error.message : String(error));
  }
  writeFileSync(holderFile(stateDir), String(process.pid));
  return database;
}

function* readRows(select: ReturnType<DatabaseSync["prepare"]>, after: number): Generator<LedgerEvent> {
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
      hint: "restore the state folder from a backup; `bronze audit verify` names the first damaged event",
    });
  }
}

/** Events that end something may use the reserve; those that begin something may not. */
function isEnding(events: readonly NewEvent[]): boolean {
  // What a switch that is in effect brings along ends with it.
  if (events.some(({ data }) => data.kind === "traffic.switched")) return true;
  return events.every(({ data }) => data.kind === "rollout.aborted" || data.kind === "set.retired");
}

function damaged(file: string, finding: string): OperatorError {
  return new OperatorError("LEDGER_DAMAGED", `Cannot trust the ledger "${file}": ${finding}`, {
    hint: "nothing was changed; restore the state folder from a backup, or move it away to begin anew",
  });
}

function keepReserve(path: string): void {
  try {
    if (existsSync(path) && statSync(path).size === reserveBytes) return;
    const fd = openSync(path, "w", 0o600);
    try {
      writeSync(fd, Buffer.alloc(reserveBytes, 0x2e));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    // A disk that is full now has no room for a reserve; the next start tries again.
    rmSync(path, { force: true });
  }
}

function holderFile(stateDir: string): string {
  return join(stateDir, "ledger.holder");
}

function holderText(stateDir: string): string {
  try {
    return `the daemon with process id ${Number.parseInt(readFileSync(holderFile(stateDir), "utf8"), 10)}`;
  } catch {
    return "another process";
  }
}

function errcode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown }).errcode;
  // Extended result codes carry the primary one in their low byte.
  return typeof code === "number" ? code & 0xff : undefined;
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
