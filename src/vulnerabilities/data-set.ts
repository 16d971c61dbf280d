import { closeSync, fsyncSync, openSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { diskError } from "../errors/operator-error.ts";
import { freeBytes, orDiskError } from "../linux/disk.ts";
import type { Advisory, AdvisoryRecord, Ecosystem } from "../scan/advisory.ts";

const sqliteFull = 13;

const tables = `
  CREATE TABLE said (seq INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
  CREATE TABLE affected (ecosystem TEXT NOT NULL, name TEXT NOT NULL, said INTEGER NOT NULL, json TEXT NOT NULL) STRICT;`;

/** Writes what is kept of one imported file. */
export interface DataSetWriter {
  add(record: AdvisoryRecord): void;
  /** On disk when it returns. @returns records by ecosystem */
  finish(): ReadonlyMap<Ecosystem, number>;
  /** Takes the file away again. */
  discard(): void;
}

/** @param folder names the disk in errors @throws {OperatorError} `DISK_FULL`, from all of its functions */
export function createDataSet(path: string, folder: string): DataSetWriter {
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if ((error as { errcode?: unknown }).errcode === sqliteFull)
        throw diskError("ENOSPC", `keep the data in "${folder}"`, freeBytes(folder), error);
      throw orDiskError(error, `keep the data in "${folder}"`, folder);
    }
  };
  const database = guarded(() => new DatabaseSync(path));
  // Nobody reads it before it is finished and has its name: no log is needed to take anything back.
  guarded(() => database.exec(`PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; ${tables} BEGIN`));
  const insertSaid = database.prepare("INSERT INTO said (json) VALUES (?)");
  const insertAffected = database.prepare("INSERT INTO affected (ecosystem, name, said, json) VALUES (?, ?, ?, ?)");
  const count = new Map<Ecosystem, number>();
  let lastSaid = "";
  let lastSeq = 0;
  let isOpen = true;
  const close = (): void => {
    if (isOpen) database.close();
    isOpen = false;
  };
  return {
    add({ ecosystem, name, advisory }) {
      const { id, aliases, bundles, summary, ...affected } = advisory;
      const said = JSON.stringify({ id, aliases, bundles, summary });
      guarded(() => {
        // One entry tells of several releases or packages in a row.
        if (said !== lastSaid) lastSeq = Number(insertSaid.run(said).lastInsertRowid);
        lastSaid = said;
        insertAffected.run(ecosystem, name, lastSeq, JSON.stringify(affected));
      });
      count.set(ecosystem, (count.get(ecosystem) ?? 0) + 1);
    },
    finish() {
      guarded(() => {
        database.exec("COMMIT; CREATE INDEX by_name ON affected (ecosystem, name)");
        close();
        const fd = openSync(path, "r");
        try {
          fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
      });
      return count;
    },
    discard() {
      close();
      rmSync(path, { force: true });
    },
  };
}

/** What one imported file says. */
export interface DataSet {
  /** In the order of the file. */
  advisories(ecosystem: Ecosystem, name: string): readonly Advisory[];
  close(): void;
}

/** @param path of a finished one, whose bytes are known to be those that were written */
export function openDataSet(path: string): DataSet {
  const database = new DatabaseSync(path, { readOnly: true });
  const select = database.prepare(
    "SELECT said.json AS said, affected.json AS affected FROM affected JOIN said ON said.seq = affected.said WHERE ecosystem = ? AND name = ? ORDER BY affected.rowid",
  );
  return {
    advisories: (ecosystem, name) =>
      (select.all(ecosystem, name) as { said: string; affected: string }[]).map(
        ({ said, affected }) => ({ ...JSON.parse(said), ...JSON.parse(affected) }) as Advisory,
      ),
    close: () => database.close(),
  };
}
