import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test, type TestContext } from "node:test";
import { chainEvent, chainStart, type ChainHead } from "../../src/ledger/chain.ts";
import type { LedgerEvent } from "../../src/ledger/event.ts";
import { canonicalJson, sha256, type Json } from "../../src/model/canonical.ts";
import { createSite, type Site } from "../support/bronze.ts";

/** A site whose ledger has some events, with a checkpoint put by; no daemon runs. */
async function signedSite(t: TestContext): Promise<{ readonly site: Site; readonly checkpoint: string }> {
  const site = createSite(t);
  const checkpoint = join(site.project, "checkpoint.json");
  assert.equal((await site.bronze(["up", "--http-port", "0"])).status, 0);
  const signed = await site.bronze(["audit", "checkpoint", "--output", checkpoint]);
  assert.equal(signed.status, 0, signed.stderr);
  const printed = await site.bronze(["audit", "checkpoint", "--output", "-"]);
  const fields = (text: string): readonly string[] => Object.keys(JSON.parse(text) as object);
  assert.deepEqual(fields(printed.stdout), fields(readFileSync(checkpoint, "utf8")));
  assert.equal((await site.bronze(["audit", "checkpoint", "--output", "/dev/null"])).status, 2);
  assert.equal((await site.bronze(["down", "--all"])).status, 0);
  return { site, checkpoint };
}

interface Keys {
  readonly keys: readonly { readonly id: string }[];
}

interface Row {
  readonly seq: number;
  readonly at_ms: number;
  readonly data: string;
}

/** Changes the ledger's file, and makes all hashes fit again, the acknowledged head too, as who can write the folder could. */
function alter(site: Site, change: (rows: Row[]) => Row[], isChained: boolean): void {
  const database = new DatabaseSync(join(site.state, "ledger.sqlite"));
  const rows = change(database.prepare("SELECT seq, at_ms, data FROM events ORDER BY seq").all() as unknown as Row[]);
  if (isChained) {
    database.exec("DELETE FROM events");
    const insert = database.prepare("INSERT INTO events (seq, at_ms, prev, hash, data) VALUES (?, ?, ?, ?, ?)");
    let head: ChainHead = chainStart;
    for (const { at_ms: atMs, data } of rows) {
      const event: LedgerEvent = chainEvent(head, { atMs, data: JSON.parse(data) as LedgerEvent["data"] });
      insert.run(event.seq, atMs, event.prev, event.hash, canonicalJson(event.data as unknown as Json));
      head = event;
    }
    const text = `${head.seq} ${head.hash}`;
    const check = sha256(text).slice("sha256:".length, "sha256:".length + 16);
    writeFileSync(join(site.state, "ledger.head"), `${`${text} ${check}`.padEnd(511)}\n`);
  }
  database.close();
}

const exchanged = (rows: Row[]): Row[] => rows.toSpliced(4, 2, rows[5] as Row, rows[4] as Row);

test("bronze audit verify --against names the first event that was removed, changed or moved since it was signed", async (t) => {
  const { site, checkpoint } = await signedSite(t);
  const ledger = join(site.state, "ledger.sqlite");
  const verify = (...more: string[]) => site.bronze(["audit", "verify", ...more]);
  const whole = await verify("--against", checkpoint);
  assert.equal(whole.status, 0, whole.stderr);
  assert.match(whole.stdout, /as signed: the checkpoint in ".*checkpoint\.json"/);

  const saved = [ledger, join(site.state, "ledger.head")].map((path) => [path, readFileSync(path)] as const);
  const attacks: readonly (readonly [string, () => void, RegExp])[] = [
    [
      "a row changed",
      () => {
        const database = new DatabaseSync(ledger);
        database.exec(`UPDATE events SET at_ms = at_ms + 1 WHERE seq = 5`);
        database.close();
      },
      /event 5: .*changed/,
    ],
    [
      "a row changed and all hashes made anew",
      () => alter(site, (rows) => rows.with(4, { ...(rows[4] as Row), at_ms: 1 }), true),
      /event 5: it was changed/,
    ],
    [
      "a row removed",
      () => {
        const database = new DatabaseSync(ledger);
        database.exec("DELETE FROM events WHERE seq = 5");
        database.close();
      },
      /event 5: .*(removed|missing)/,
    ],
    [
      "a row removed and all hashes made anew",
      () => alter(site, (rows) => rows.toSpliced(4, 1), true),
      /event 5: it was removed/,
    ],
    [
      "two rows exchanged and all hashes made anew",
      () => alter(site, exchanged, true),
      /event 5: it was moved: what was event 6/,
    ],
    ["the end cut off", () => alter(site, (rows) => rows.slice(0, 4), true), /event 5: it was removed, with all until/],
    [
      "another ledger in its place",
      () => alter(site, (rows) => rows.map((row) => ({ ...row, at_ms: row.at_ms + 1_000 })), true),
      /event 1: the ledger begins with another event/,
    ],
  ];
  for (const [what, attack, words] of attacks) {
    attack();
    const found = await verify("--against", checkpoint);
    assert.equal(found.status, 7, `${what}: ${found.stdout}`);
    assert.match(found.stderr, words, what);
    // What is kept beside the ledger tells the same.
    const kept = await verify();
    assert.equal(kept.status, 7, `${what}: ${kept.stdout}`);
    assert.match(kept.stderr, words, what);
    for (const end of ["-wal", "-shm"]) if (existsSync(ledger + end)) rmSync(ledger + end);
    for (const [path, bytes] of saved) writeFileSync(path, bytes);
  }
  assert.equal((await verify("--against", checkpoint)).status, 0);
});

test("bronze audit verify refuses checkpoints that were tampered with, of another ledger or machine, or of a key that was revoked", async (t) => {
  const { site, checkpoint } = await signedSite(t);
  const text = readFileSync(checkpoint, "utf8");
  const verify = (path: string) => site.bronze(["audit", "verify", "--against", path]);
  const file = join(site.project, "tampered.json");
  const entry = JSON.parse(text) as {
    checkpoint: { dsseEnvelope: { payload: string; signatures: { sig: string }[] } };
    events: string;
  };
  const { payload } = entry.checkpoint.dsseEnvelope;
  const other = Buffer.from(
    Buffer.from(payload, "base64")
      .toString()
      .replace(/"sequence":\d+/, '"sequence":3'),
  ).toString("base64");
  for (const [what, tampered, status, words] of [
    ["another number", text.replace(payload, other), 7, /signature does not hold/],
    ["half of it", text.slice(0, text.length / 2), 7, /it is no checkpoint/],
    ["nothing", "", 7, /it is empty/],
    // Names of events only: what was signed does not vouch for them, so that they prove nothing and hide nothing.
    ["other events", text.replace(entry.events.slice(0, 8), "AAAAAAAA"), 0, /^/],
  ] as const) {
    writeFileSync(file, tampered);
    const found = await verify(file);
    assert.equal(found.status, status, `${what}: ${found.stderr}`);
    assert.match(found.stderr, words, what);
  }
  assert.equal((await verify(join(site.project, "none.json"))).status, 4);

  const { site: elsewhere, checkpoint: theirs } = await signedSite(t);
  const foreign = await verify(theirs);
  assert.equal(foreign.status, 7);
  assert.match(foreign.stderr, /key log does not know/);
  assert.equal((await elsewhere.bronze(["audit", "verify", "--against", theirs])).status, 0);

  // What the key signed before and is kept here stands.
  const [key] = (await site.json<Keys>(["key", "list"])).keys;
  assert.equal((await site.bronze(["key", "revoke", key?.id ?? "", "--reason", "lost"])).status, 0);
  assert.equal((await verify(checkpoint)).status, 0);

  // Where nothing stands, what is kept here proves nothing any more, and that is told.
  const [lost] = (await elsewhere.json<Keys>(["key", "list"])).keys;
  assert.equal((await elsewhere.bronze(["key", "revoke", lost?.id ?? "", "--nothing-stands"])).status, 0);
  const found = await elsewhere.bronze(["audit", "verify", "--against", theirs]);
  assert.equal(found.status, 7);
  assert.match(found.stderr, /revoked/);
  const alone = await elsewhere.bronze(["audit", "verify"]);
  assert.equal(alone.status, 0, alone.stderr);
  assert.match(alone.stderr, /not believed.*revoked/);
});
