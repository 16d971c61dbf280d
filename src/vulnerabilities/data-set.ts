import { closeSync, fsyncSync, openSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { diskError } from "../errors/operator-error.ts";
import { freeBytes, orDiskError } from "../linux/disk.ts";
import type { AdvisoryRecord, Affected, Ecosystem, Said } from "../scan/advisory.ts";
import type { Advisories } from "../scan/match.ts";

const sqliteFull = 13;

// All of a package lies together, in the order of the file.
const tables = `
  CREATE TABLE said (seq INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
  CREATE TABLE package (id INTEGER PRIMARY KEY, ecosystem TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (ecosystem, name)) STRICT;
  CREATE TABLE affected (package INTEGER NOT NULL, seq INTEGER NOT NULL, said INTEGER NOT NULL, json TEXT NOT NULL,
    PRIMARY KEY (package, seq)) STRICT, WITHOUT ROWID;`;

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
  // Nobody reads it before it is finished and has its name: nothing is to be taken back after a crash.
  guarded(() => database.exec(`PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; ${tables} BEGIN`));
  const insertSaid = database.prepare("INSERT INTO said (json) VALUES (?)");
  const insertPackage = database.prepare(
    "INSERT INTO package (ecosystem, name) VALUES (?, ?) ON CONFLICT DO UPDATE SET name = name RETURNING id",
  );
  const insertAffected = database.prepare("INSERT INTO affected (package, seq, said, json) VALUES (?, ?, ?, ?)");
  const count = new Map<Ecosystem, number>();
  let lastSaid: Said | undefined;
  let lastSeq = 0;
  let seq = 0;
  let isOpen = true;
  const close = (): void => {
    if (isOpen) database.close();
    isOpen = false;
  };
  return {
    add({ ecosystem, name, said, affected }) {
      guarded(() => {
        // One entry tells of several releases or packages in a row.
        if (said !== lastSaid) lastSeq = Number(insertSaid.run(JSON.stringify(said)).lastInsertRowid);
        lastSaid = said;
        const { id } = insertPackage.get(ecosystem, name) as { id: number };
        seq += 1;
        insertAffected.run(id, seq, lastSeq, pack(affected));
      });
      count.set(ecosystem, (count.get(ecosystem) ?? 0) + 1);
    },
    finish() {
      guarded(() => {
        database.exec("COMMIT");
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
  /** In the order of the file; to be asked for what they say before `close`. */
  readonly advisories: Advisories;
  close(): void;
}

/** @param path of a finished one, whose bytes are known to be those that were written */
export function openDataSet(path: string): DataSet {
  const database = new DatabaseSync(path, { readOnly: true });
  // One look at the file's lock for all that is asked, in place of four calls of the system for each question.
  database.exec("BEGIN");
  const select = database.prepare(
    "SELECT said, json FROM affected JOIN package ON package.id = affected.package WHERE ecosystem = ? AND name = ? ORDER BY seq",
  );
  const selectSaid = database.prepare("SELECT json FROM said WHERE seq = ?");
  const said = (seq: number): Said => JSON.parse((selectSaid.get(seq) as { json: string }).json) as Said;
  return {
    advisories: (ecosystem, name) =>
      (select.all(ecosystem, name) as { said: number; json: string }[]).map(({ said: seq, json }) => ({
        affected: unpack(json),
        said: () => said(seq),
      })),
    close: () => database.close(),
  };
}

/** Hundreds of thousands of these are kept: ranges, severities, versions and why it is ignored, without the names of fields. */
type Packed = readonly [
  ranges: readonly (readonly [introduced: string, fixed: string | 0, lastAffected?: string])[],
  severity?: readonly (readonly [method: string, score: string])[],
  versions?: readonly string[],
  ignored?: string,
];

function pack({ ranges, severity, versions, ignored }: Affected): string {
  const packed: Packed = [
    ranges.map(({ introduced, fixed, lastAffected }) =>
      lastAffected === undefined ? [introduced, fixed ?? 0] : [introduced, fixed ?? 0, lastAffected],
    ),
    severity.map(({ method, score }) => [method, score]),
    versions,
  ];
  return JSON.stringify(ignored === undefined ? packed : [...packed, ignored]);
}

function unpack(json: string): Affected {
  const [ranges, severity = [], versions = [], ignored] = JSON.parse(json) as Packed;
  return {
    ranges: ranges.map(([introduced, fixed, lastAffected]) => ({
      introduced,
      ...(fixed === 0 ? {} : { fixed }),
      ...(lastAffected === undefined ? {} : { lastAffected }),
    })),
    severity: severity.map(([method, score]) => ({ method, score })),
    versions,
    ...(ignored === undefined ? {} : { ignored }),
  };
}
