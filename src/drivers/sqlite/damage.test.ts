import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { eventHash, verifyChain } from "../../ledger/chain.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import { openSqliteJournal } from "./journal.ts";
import { salvageLedger } from "./salvage.ts";

const folders: string[] = [];
after(() => folders.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

const started = (pid: number) => ({ atMs: 1, data: { kind: "daemon.started", version: "1", pid } }) as const;

/**
 * What a daemon leaves that was killed after so many acknowledged events, each commit its own; then, where asked for, an
 * intent that nobody was told of.
 */
function killedLedger(acknowledged: number, intents = 0): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-damage-"));
  folders.push(dir);
  const script = `import { openSqliteJournal } from ${JSON.stringify(join(import.meta.dirname, "journal.ts"))};
    const journal = openSqliteJournal(${JSON.stringify(dir)});
    const event = (pid) => ({ atMs: 1, data: { kind: "daemon.started", version: "1", pid } });
    for (let i = 1; i <= ${acknowledged}; i += 1) journal.append([event(i)]);
    for (let i = 1; i <= ${intents}; i += 1) journal.appendIntent([event(-i)]);
    process.kill(process.pid, "SIGKILL");`;
  spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], { encoding: "utf8" });
  return dir;
}

const wal = (dir: string): string => join(dir, "ledger.sqlite-wal");
const main = (dir: string): string => join(dir, "ledger.sqlite");
const frameBytes = 24 + 4096;
const framesOf = (dir: string): number => (statSync(wal(dir)).size - 32) / frameBytes;

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
}

function eventsIn(dir: string): number {
  const journal = openSqliteJournal(dir);
  const { length } = [...journal.read()];
  journal.close();
  return length;
}

/** Opening is refused with exit 7, says which event, leaves every byte as it was, and goes on being refused. */
function refused(dir: string, says: RegExp): number {
  const before = new Map(
    [main(dir), wal(dir)]
      .filter((path) => existsSync(path) && statSync(path).size > 0)
      .map((path) => [path, readFileSync(path).toString("hex")]),
  );
  let lastGood = -1;
  for (const attempt of ["first", "second"]) {
    assert.throws(
      () => openSqliteJournal(dir).close(),
      (error) => {
        assert.ok(error instanceof OperatorError, String(error));
        assert.deepEqual([error.code, error.exitStatus], ["LEDGER_DAMAGED", 7], `${attempt}: ${error.message}`);
        assert.match(error.message, says);
        lastGood = (error.details as { lastGood: number }).lastGood;
        assert.match(error.hint, /backup.*doctor --repair --keep-events/);
        return true;
      },
    );
  }
  assert.ok(existsSync(wal(dir)) === before.has(wal(dir)), "the log is still there");
  if (before.has(wal(dir))) assert.equal(readFileSync(wal(dir)).toString("hex"), before.get(wal(dir)));
  return lastGood;
}

test("openSqliteJournal() finds everything acknowledged when the log's tail was not: cut at any byte of it, or garbled", (t) => {
  const pristine = killedLedger(20, 1);
  const total = framesOf(pristine);
  const acknowledgedBytes = 32 + (total - 1) * frameBytes;
  let cases = 0;
  for (const cut of [0, 1, 23, 24, 25, 2_000, frameBytes - 1]) {
    const dir = mkdtempSync(join(tmpdir(), "bronze-damage-"));
    folders.push(dir);
    cpSync(pristine, dir, { recursive: true });
    truncateSync(wal(dir), acknowledgedBytes + cut);
    assert.equal(eventsIn(dir), 20, `cut ${cut} bytes into the last frame`);
    cases += 1;
  }
  for (const at of [0, 4, 8, 16, 23, 24, 1_000, 4_000]) {
    const dir = mkdtempSync(join(tmpdir(), "bronze-damage-"));
    folders.push(dir);
    cpSync(pristine, dir, { recursive: true });
    flip(wal(dir), acknowledgedBytes + at);
    assert.equal(eventsIn(dir), 20, `byte ${at} of the last frame garbled`);
    cases += 1;
  }
  t.diagnostic(`${cases} torn tails: 20 of 20 acknowledged events each time`);
});

test("openSqliteJournal() says that acknowledged events are gone when a frame of the log is damaged, whichever", (t) => {
  const pristine = killedLedger(12);
  const total = framesOf(pristine);
  let cases = 0;
  for (let frame = 0; frame < total; frame += 1) {
    const dir = mkdtempSync(join(tmpdir(), "bronze-damage-"));
    folders.push(dir);
    cpSync(pristine, dir, { recursive: true });
    flip(wal(dir), 32 + frame * frameBytes + 24 + ((frame * 397) % 4096));
    refused(dir, /events? \d+( to 12)? (is|are) missing, and (was|were) acknowledged|Cannot read|is gone/);
    cases += 1;
  }
  t.diagnostic(`${cases} of ${total} frames damaged, one at a time: refused each time`);
});

test("openSqliteJournal() says that acknowledged events are gone when the log was cut, emptied or taken away", () => {
  for (const harm of [
    (dir: string) => truncateSync(wal(dir), statSync(wal(dir)).size - frameBytes),
    (dir: string) => truncateSync(wal(dir), 0),
    (dir: string) => rmSync(wal(dir)),
  ]) {
    const dir = killedLedger(9);
    harm(dir);
    refused(dir, /missing|no such table/);
  }
});

/** A ledger that was closed in peace: all of it in its main file. */
function closedLedger(events: number): string {
  const dir = killedLedger(events);
  openSqliteJournal(dir).close();
  return dir;
}

/** Alters an event and gives it the hash that fits, as somebody does who knows how; nothing else is touched. */
function forge(dir: string, seq: number): void {
  const database = new DatabaseSync(main(dir));
  const row = database.prepare("SELECT at_ms, prev, data FROM events WHERE seq = ?").get(seq) as {
    at_ms: number;
    prev: LedgerEvent["prev"];
    data: string;
  };
  const data = JSON.parse(row.data.replace('"version":"1"', '"version":"2"')) as LedgerEvent["data"];
  const hash = eventHash({ seq, atMs: row.at_ms, prev: row.prev, data });
  database.prepare("UPDATE events SET data = ?, hash = ? WHERE seq = ?").run(JSON.stringify(data), hash, seq);
  database.close();
}

function change(dir: string, sql: string): void {
  const database = new DatabaseSync(main(dir));
  database.exec(sql);
  database.close();
}

const harms: readonly (readonly [string, (dir: string) => void, RegExp])[] = [
  ["an event was forged with a hash that fits", (dir) => forge(dir, 9), /event 10 does not continue event 9/],
  [
    "the last event was forged with a hash that fits",
    (dir) => forge(dir, 30),
    /event 30 is another than the one that was acknowledged/,
  ],
  [
    "its last event was deleted",
    (dir) => change(dir, "DELETE FROM events WHERE seq = 30"),
    /event 30 is missing, and was acknowledged/,
  ],
  [
    "an event within was deleted",
    (dir) => change(dir, "DELETE FROM events WHERE seq = 7"),
    /event 7 is missing: 8 follows 6/,
  ],
  [
    "an event was changed",
    (dir) => change(dir, `UPDATE events SET data = replace(data, '"pid":9', '"pid":8') WHERE seq = 9`),
    /event 9 was altered/,
  ],
  [
    "two events were swapped",
    (dir) =>
      change(dir, "UPDATE events SET seq = -seq WHERE seq IN (4, 5); UPDATE events SET seq = 9 + seq WHERE seq < 0"),
    /event 4 does not continue/,
  ],
  ["its file was cut", (dir) => truncateSync(main(dir), 8192), /malformed|missing|Cannot read/],
  ["its file is empty", (dir) => truncateSync(main(dir), 0), /no such table|missing|Cannot read/],
  ["its file is gone", (dir) => rmSync(main(dir)), /is gone, and 30 events were in it/],
  [
    "its file is something else",
    (dir) => writeFileSync(main(dir), "not a database, but long enough to be read as one\n".repeat(200)),
    /not a database/,
  ],
];

for (const [what, harm, says] of harms) {
  test(`openSqliteJournal() refuses a ledger and says which event: ${what}`, () => {
    const dir = closedLedger(30);
    harm(dir);
    refused(dir, says);
  });
}

test("openSqliteJournal() refuses a last event that was rewritten with a hash that fits", () => {
  const dir = killedLedger(5);
  const other = killedLedger(5);
  // The other ledger holds as well, but it is not the one that was acknowledged here.
  const journal = openSqliteJournal(other);
  journal.close();
  change(other, "DELETE FROM events WHERE seq = 5");
  rmSync(join(other, "ledger.head"));
  const rewritten = openSqliteJournal(other);
  rewritten.append([started(99)]);
  rewritten.close();
  openSqliteJournal(dir).close();
  cpSync(main(other), main(dir));
  assert.equal(refused(dir, /event 5 is another than the one that was acknowledged/), 4);
});

test("a page of the ledger's file damaged at any place: either every event is there, or it is refused", (t) => {
  const pristine = closedLedger(200);
  const { size } = statSync(main(pristine));
  const counts = { refused: 0, whole: 0 };
  for (let at = 0; at < size; at += 509) {
    const dir = mkdtempSync(join(tmpdir(), "bronze-damage-"));
    folders.push(dir);
    cpSync(pristine, dir, { recursive: true });
    flip(main(dir), at);
    try {
      assert.equal(eventsIn(dir), 200, `byte ${at}`);
      counts.whole += 1;
    } catch (error) {
      assert.ok(error instanceof OperatorError, `byte ${at}: ${String(error)}`);
      assert.equal(error.code, "LEDGER_DAMAGED", `byte ${at}`);
      counts.refused += 1;
    }
    rmSync(dir, { recursive: true });
  }
  assert.ok(counts.refused > 0);
  t.diagnostic(
    `${counts.refused + counts.whole} flipped bytes: ${counts.refused} refused, ${counts.whole} in unused bytes, 0 passed over`,
  );
});

test("read() from the beginning shows damage that was done to the file while it was open", () => {
  const dir = closedLedger(40);
  const journal = openSqliteJournal(dir);
  assert.equal(verifyChain(journal.read()).damage, null);
  const bytes = readFileSync(main(dir));
  const at = bytes.indexOf('"pid":21');
  assert.ok(at > 0);
  const fd = openSync(main(dir), "r+");
  writeSync(fd, Buffer.from('"pid":27'), 0, 8, at);
  closeSync(fd);
  assert.match(verifyChain(journal.read()).damage?.finding ?? "", /event 21 was altered/);
  journal.close();
});

test("salvageLedger() keeps the verified beginning, the damaged files and a record, and only as much as holds", () => {
  const dir = closedLedger(30);
  change(dir, "DELETE FROM events WHERE seq = 21");
  assert.equal(refused(dir, /event 21 is missing/), 20);
  assert.throws(
    () => salvageLedger(dir, 25, { who: "root", atMs: 5 }),
    (error) =>
      error instanceof OperatorError && error.code === "ARGUMENT_INVALID" && /first 20 hold/.test(error.message),
  );
  const { aside } = salvageLedger(dir, 20, { who: "root", atMs: 5 });
  const journal = openSqliteJournal(dir);
  const events = [...journal.read()];
  journal.close();
  assert.equal(events.length, 21);
  assert.deepEqual(events.at(-1)?.data, { kind: "ledger.salvaged", kept: 20, aside, who: "root" });
  const old = new DatabaseSync(join(aside, "ledger.sqlite"));
  assert.equal((old.prepare("SELECT count(*) AS n FROM events").get() as { n: number }).n, 29);
  old.close();
});

test("salvageLedger() of a ledger that cannot be read at all begins anew, and says so", () => {
  const dir = closedLedger(3);
  writeFileSync(main(dir), "nothing of use".repeat(1000));
  salvageLedger(dir, 0, { who: "root", atMs: 5 });
  const journal = openSqliteJournal(dir);
  assert.deepEqual(
    [...journal.read()].map(({ data }) => data.kind),
    ["ledger.salvaged"],
  );
  journal.close();
});
