import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { journalSuite } from "../../ports/journal.suite.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { openSqliteJournal } from "./journal.ts";

const folder = (): string => mkdtempSync(join(tmpdir(), "bronze-journal-"));
const started = (pid: number) => ({ atMs: 1, data: { kind: "daemon.started", version: "1", pid } }) as const;
const isCode = (code: string) => (error: unknown) => error instanceof OperatorError && error.code === code;

journalSuite("sqlite journal", () => {
  const dir = folder();
  return {
    journal: openSqliteJournal(dir),
    reopen(journal) {
      journal.close();
      return openSqliteJournal(dir);
    },
    clean: () => rmSync(dir, { recursive: true }),
  };
});

test("openSqliteJournal() refuses a folder that another process holds, and says who", () => {
  const dir = folder();
  const journal = openSqliteJournal(dir);
  journal.append([started(1)]);
  const script = `import { openSqliteJournal } from ${JSON.stringify(join(import.meta.dirname, "journal.ts"))};
    try { openSqliteJournal(${JSON.stringify(dir)}); } catch (error) { console.log(error.code, error.message); }`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
    encoding: "utf8",
  });
  assert.match(
    stdout,
    new RegExp(`^LOCKED .*process ${process.pid} holds it, which has run since 20[0-9-]+T.*\\(.*node`),
  );
  journal.close();
  rmSync(dir, { recursive: true });
});

test("openSqliteJournal() lets exactly one of several through that begin at the same moment", async (t) => {
  const script = `import { openSqliteJournal } from ${JSON.stringify(join(import.meta.dirname, "journal.ts"))};
    process.stdout.write("ready");
    process.stdin.once("data", () => {
      try { openSqliteJournal(process.argv[1]); process.stdout.write("+"); } catch (error) { process.stdout.write(error.code === "LOCKED" ? "-" : error.message); }
      process.stdin.once("data", () => process.exit());
    });`;
  const rounds = 5;
  for (let round = 0; round < rounds; round += 1) {
    const dir = folder();
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ["--input-type=module-typescript", "-e", script, dir], { stdio: "pipe" }),
    );
    const word = ({ stdout }: (typeof children)[number]): Promise<string> =>
      new Promise((resolve) => void stdout.once("data", (text: Buffer) => resolve(text.toString())));
    assert.deepEqual(await Promise.all(children.map(word)), ["ready", "ready", "ready", "ready"]);
    const answers = children.map(word);
    for (const { stdin } of children) stdin.write("go");
    assert.deepEqual((await Promise.all(answers)).sort(), ["+", "-", "-", "-"]);
    const ends = children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const { stdin } of children) stdin.write("end");
    await Promise.all(ends);
    rmSync(dir, { recursive: true });
  }
  t.diagnostic(`${rounds} races of 4: one winner each`);
});

test("openSqliteJournal() gives every event that append() acknowledged before kill -9", () => {
  const dir = folder();
  const script = `import { openSqliteJournal } from ${JSON.stringify(join(import.meta.dirname, "journal.ts"))};
    const journal = openSqliteJournal(${JSON.stringify(dir)});
    for (let i = 1; i <= 50; i += 1) { journal.append([{ atMs: i, data: { kind: "daemon.started", version: "1", pid: i } }]); process.stdout.write(i + "\\n"); }
    process.kill(process.pid, "SIGKILL");`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
    encoding: "utf8",
  });
  const journal = openSqliteJournal(dir);
  assert.equal([...journal.read()].length, stdout.trim().split("\n").length);
  journal.close();
  rmSync(dir, { recursive: true });
});

test("openSqliteJournal() refuses a ledger in which an event was altered", () => {
  const dir = folder();
  const journal = openSqliteJournal(dir);
  journal.append([started(1), started(2)]);
  journal.close();
  const database = new DatabaseSync(join(dir, "ledger.sqlite"));
  database.exec(`UPDATE events SET data = replace(data, '"pid":1', '"pid":7') WHERE seq = 1`);
  database.close();
  assert.throws(() => openSqliteJournal(dir), isCode("LEDGER_DAMAGED"));
  rmSync(dir, { recursive: true });
});

test("append() writes nothing when one of its events cannot be stored", () => {
  const dir = folder();
  const journal = openSqliteJournal(dir);
  const bad = { atMs: 1, data: { kind: "daemon.started", version: "\ud800", pid: 1 } } as const;
  assert.throws(() => journal.append([started(1), bad]));
  assert.deepEqual([...journal.read()], []);
  assert.equal(journal.append([started(2)])[0]?.seq, 1);
  journal.close();
  rmSync(dir, { recursive: true });
});
