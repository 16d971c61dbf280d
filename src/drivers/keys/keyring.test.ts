import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { sha256 } from "../../model/canonical.ts";
import { verifyPayload } from "../../trust/envelope.ts";
import type { LoggedKey } from "../../trust/key-log.ts";
import { statementType } from "../../trust/statement.ts";
import { createKeyring, type Keyring } from "./keyring.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-keys-"));
  folders.push(dir);
  return join(dir, "keys");
}

const { signal } = new AbortController();
const payload = Buffer.from("{}");
const nothing = async (): Promise<readonly never[]> => [];
const forEver = { validMs: null };

function open(path: string, change: { now?: () => number; told?: string[] } = {}): Keyring {
  return createKeyring(path, {
    signal,
    now: change.now ?? Date.now,
    onFirstKey: ({ id }) => change.told?.push(id),
  });
}

const withCode =
  (code: string, words = /^/) =>
  (error: unknown): boolean =>
    error instanceof OperatorError && error.code === code && words.test(error.message);

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const keysIn = (path: string): readonly string[] => readdirSync(join(path, "signing"));

test("`sign()` makes the first key, for its owner alone, and tells of it once", async () => {
  const path = newFolder();
  const told: string[] = [];
  const keyring = open(path, { told });
  const { keyId, signature } = await keyring.sign(payload);
  const { log } = await keyring.trust();
  assert.deepEqual(told, [keyId]);
  assert.equal(log.active?.id, keyId);
  assert.ok(verifyPayload(log.active.key, { payloadType: statementType, payload, signature }));
  assert.equal(modeOf(path), 0o700);
  assert.equal(modeOf(join(path, "signing")), 0o700);
  assert.equal(modeOf(join(path, "signing", `${keyId}.key`)), 0o600);
  assert.equal((await open(path, { told }).sign(payload)).keyId, keyId);
  assert.equal(told.length, 1);
});

test("`sign()` of many at once makes one key", async () => {
  const path = newFolder();
  const ids = await Promise.all(Array.from({ length: 8 }, async () => (await open(path).sign(payload)).keyId));
  assert.equal(new Set(ids).size, 1);
  assert.deepEqual(keysIn(path), [`${ids[0]}.key`]);
});

test("a private key never gets wider rights from the umask", async () => {
  const path = newFolder();
  const before = process.umask(0);
  try {
    const { keyId } = await open(path).sign(payload);
    assert.equal(modeOf(join(path, "signing", `${keyId}.key`)), 0o600);
    assert.equal(modeOf(join(path, "signing")), 0o700);
  } finally {
    process.umask(before);
  }
});

test("`trust()` of nothing is an empty log; `rotate()` and `revoke()` need a key", async () => {
  const path = newFolder();
  assert.equal((await open(path).trust()).log.active, null);
  await assert.rejects(open(path).rotate({ ...forEver, stands: nothing }), withCode("NOT_FOUND"));
});

test("`create()` refuses a second first key", async () => {
  const path = newFolder();
  const { id } = await open(path).create(forEver);
  await assert.rejects(open(path).create(forEver), withCode("USAGE", new RegExp(id.slice(0, 12))));
});

test("`rotate()` destroys the private half of the key before, and keeps what stands of it", async () => {
  const path = newFolder();
  const keyring = open(path);
  const { keyId } = await keyring.sign(payload);
  const stands = async (): Promise<readonly ReturnType<typeof sha256>[]> => [sha256(payload)];
  const made = await keyring.rotate({ ...forEver, stands });
  assert.deepEqual(keysIn(path), [`${made.id}.key`]);
  assert.equal((await keyring.sign(payload)).keyId, made.id);
  const { log, standing } = await keyring.trust();
  const old = log.keys.find(({ id }) => id === keyId) as LoggedKey;
  assert.equal(old.state, "rotated");
  assert.equal(Buffer.from(standing.get(old.stands ?? sha256("")) ?? []).toString(), `${sha256(payload).slice(7)}\n`);
});

test("`revoke()` of the key that signs makes a new one first", async () => {
  const path = newFolder();
  const keyring = open(path);
  const { keyId } = await keyring.sign(payload);
  const revoked = await keyring.revoke(keyId, { reason: "lost", stands: nothing });
  assert.deepEqual([revoked.id, revoked.state, revoked.reason], [keyId, "revoked", "lost"]);
  const { log } = await keyring.trust();
  assert.deepEqual(
    log.entries.map(({ kind }) => kind),
    ["created", "rotated", "revoked"],
  );
  assert.notEqual((await keyring.sign(payload)).keyId, keyId);
  await assert.rejects(keyring.revoke(keyId, { reason: "", stands: nothing }), withCode("USAGE", /was revoked/));
});

test("`sign()` refuses a key that others may read, that is another or is gone", async () => {
  const path = newFolder();
  const { keyId } = await open(path).sign(payload);
  const file = join(path, "signing", `${keyId}.key`);
  chmodSync(file, 0o640);
  await assert.rejects(open(path).sign(payload), withCode("KEY_UNUSABLE", /others may read/));
  chmodSync(file, 0o600);
  const elsewhere = newFolder();
  const other = (await open(elsewhere).sign(payload)).keyId;
  writeFileSync(file, readFileSync(join(elsewhere, "signing", `${other}.key`)));
  await assert.rejects(open(path).sign(payload), withCode("KEY_UNUSABLE", /another key/));
  writeFileSync(file, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  await assert.rejects(open(path).sign(payload), withCode("KEY_UNUSABLE", /no key in it/));
  rmSync(file);
  await assert.rejects(open(path).sign(payload), withCode("KEY_UNUSABLE", /gone/));
});

test("`sign()` refuses a key outside its window", async () => {
  const path = newFolder();
  let nowMs = Date.parse("2026-01-01T00:00:00Z");
  const keyring = open(path, { now: () => nowMs });
  await keyring.create({ validMs: 1000 });
  await keyring.sign(payload);
  nowMs += 1000;
  await assert.rejects(keyring.sign(payload), withCode("KEY_UNUSABLE", /until 2026-01-01T00:00:01/));
  await keyring.rotate({ ...forEver, stands: nothing });
  await keyring.sign(payload);
});

test("`sign()` tells once of a key whose window is over soon", async () => {
  const path = newFolder();
  const ends: number[] = [];
  let nowMs = Date.parse("2026-01-01T00:00:00Z");
  const keyring = createKeyring(path, { signal, now: () => nowMs, onNearEnd: (_, leftMs) => ends.push(leftMs) });
  await keyring.create({ validMs: 30 * 86_400_000 });
  await keyring.sign(payload);
  nowMs += 20 * 86_400_000;
  for (let n = 0; n < 2; n++) await keyring.sign(payload);
  assert.deepEqual(ends, [10 * 86_400_000]);
});

test("`sign()` goes on when the clock is set back by some hours", async () => {
  const path = newFolder();
  let nowMs = Date.parse("2026-01-02T00:00:00Z");
  const keyring = open(path, { now: () => nowMs });
  await keyring.sign(payload);
  nowMs -= 23 * 3_600_000;
  await keyring.sign(payload);
  nowMs -= 2 * 3_600_000;
  await assert.rejects(keyring.sign(payload), withCode("KEY_UNUSABLE", /valid from 2026-01-01T00:00:00/));
});

test("a changed key log is refused by all that use it", async () => {
  const path = newFolder();
  await open(path).sign(payload);
  const log = join(path, "log.jsonl");
  writeFileSync(log, readFileSync(log, "utf8").replace('"notAfter":null', '"notAfter":"2030-01-01T00:00:00.000Z"'));
  for (const use of [open(path).trust(), open(path).sign(payload), open(path).create(forEver)])
    await assert.rejects(use, withCode("VERIFICATION_FAILED", /log.jsonl.*entry 0: the signature of/));
});

test("a key log that ends earlier than it did is refused: a revocation cannot be cut off, nor the log be taken away", async () => {
  const path = newFolder();
  const { keyId } = await open(path).sign(payload);
  const log = join(path, "log.jsonl");
  const before = readFileSync(log, "utf8");
  await open(path).revoke(keyId, { reason: "stolen", stands: nothing });
  const after = readFileSync(log, "utf8");
  for (const older of [before, after.slice(0, after.lastIndexOf("\n", after.length - 2) + 1)]) {
    writeFileSync(log, older);
    await assert.rejects(
      open(path).trust(),
      withCode("VERIFICATION_FAILED", /lines were cut off, or it is an older one/),
    );
  }
  rmSync(log);
  for (const use of [open(path).trust(), open(path).sign(payload)])
    await assert.rejects(use, withCode("VERIFICATION_FAILED", /cut off/));
  writeFileSync(log, after);
  assert.equal((await open(path).trust()).log.entries.length, 3);
});

test("a log that is ahead of its head, as a killed writer leaves it, is taken", async () => {
  const path = newFolder();
  await open(path).sign(payload);
  const head = readFileSync(join(path, "head"));
  await open(path).rotate({ ...forEver, stands: nothing });
  writeFileSync(join(path, "head"), head);
  assert.equal((await open(path).trust()).log.entries.length, 2);
});

test("`sign()` goes on with the key that a killed process made and did not log", async () => {
  const path = newFolder();
  const { keyId } = await open(path).sign(payload);
  for (const name of ["log.jsonl", "head"]) rmSync(join(path, name));
  assert.equal((await open(path).sign(payload)).keyId, keyId);
  assert.deepEqual(keysIn(path), [`${keyId}.key`]);
});

test("a list of what stands that was changed is left out", async () => {
  const path = newFolder();
  const keyring = open(path);
  const { keyId } = await keyring.sign(payload);
  await keyring.revoke(keyId, { reason: "", stands: async () => [sha256("a")] });
  const [name = ""] = readdirSync(join(path, "standing"));
  writeFileSync(join(path, "standing", name), `${sha256("b").slice(7)}\n`);
  assert.equal((await keyring.trust()).standing.size, 0);
});

test("whatever a killed `create()` or `rotate()` left is gone after the next use, and the log holds", async () => {
  const keyring = join(import.meta.dirname, "keyring.ts");
  const work = (path: string): string => `
    const { createKeyring } = await import(${JSON.stringify(keyring)});
    const keys = createKeyring(${JSON.stringify(path)}, { now: Date.now, signal: new AbortController().signal });
    const options = { validMs: null, stands: async () => [] };
    process.stdout.write(".");
    for (;;) await keys.rotate(options).catch(() => keys.create(options));`;
  const path = newFolder();
  for (const ms of [3, 7, 12, 18, 25]) {
    // Killed in the middle: by a signal from outside, after some time behind the first output.
    const script = `"$0" --disable-warning=ExperimentalWarning --input-type=module -e "$1" | { head -c 1 >/dev/null; sleep ${ms / 1000}; kill -9 $(cat "$2.pid"); }`;
    const program = `require("fs").writeFileSync(${JSON.stringify(`${path}.pid`)}, String(process.pid));`;
    spawnSync("sh", [
      "-c",
      script,
      process.execPath,
      `import { createRequire } from "node:module"; const require = createRequire("/");${program}${work(path)}`,
      path,
    ]);
    const { keyId } = await open(path).sign(payload);
    assert.deepEqual(keysIn(path), [`${keyId}.key`]);
    await open(path).rotate({ ...forEver, stands: nothing });
    const left = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".new"));
    assert.deepEqual(left, []);
  }
});
