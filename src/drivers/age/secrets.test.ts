import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Decrypter, Encrypter } from "age-encryption";
import { OperatorError } from "../../errors/operator-error.ts";
import { secretsSuite, secretVersion } from "../../ports/secrets.suite.ts";
import type { Secrets } from "../../ports/secrets.ts";
import { createAgeSecrets } from "./secrets.ts";

interface Place {
  readonly state: string;
  readonly secrets: Secrets;
  readonly restarted: () => Secrets;
}

function open(t: TestContext): Place {
  const state = mkdtempSync(join(tmpdir(), "bz-age-"));
  t.after(() => rmSync(state, { recursive: true }));
  const restarted = (): Secrets => createAgeSecrets({ state, now: () => 0 });
  return { state, secrets: restarted(), restarted };
}

secretsSuite("age secrets", open);

const one = secretVersion("A");
const unreadable = (thrown: unknown): boolean => thrown instanceof OperatorError && thrown.code === "SECRET_UNREADABLE";

test("createAgeSecrets() keeps key and values where only their owner can read them, and no value plain", async (t) => {
  const { state, secrets } = open(t);
  await secrets.write(one, Buffer.from("hunter2-hunter2"));
  assert.equal(statSync(join(state, "keys/secrets.key")).mode & 0o777, 0o600);
  assert.equal(statSync(join(state, "keys")).mode & 0o777, 0o700);
  assert.equal(statSync(join(state, "secrets")).mode & 0o777, 0o700);
  assert.equal(statSync(join(state, "secrets/shop/production/A/1.age")).mode & 0o777, 0o600);
  const { status } = spawnSync("grep", ["-r", "-q", "-a", "hunter2", state]);
  assert.equal(status, 1);
  assert.deepEqual(readdirSync(join(state, "secrets/shop/production/A")), ["1.age"]);
});

test("createAgeSecrets() writes files that age itself reads, the key with a passphrase too", async (t) => {
  const { state, secrets } = open(t);
  await secrets.write(one, Buffer.from("hunter2"));
  const identity = readFileSync(join(state, "keys/secrets.key"), "utf8").split("\n").at(-2) ?? "";
  const plain = new Decrypter();
  plain.addIdentity(identity);
  assert.equal(await plain.decrypt(readFileSync(join(state, "secrets/shop/production/A/1.age")), "text"), "hunter2");
  await secrets.protect("correct horse");
  const bytes = readFileSync(join(state, "keys/secrets.key"));
  assert.ok(!bytes.includes("AGE-SECRET-KEY"));
  const protectedKey = new Decrypter();
  protectedKey.addPassphrase("correct horse");
  assert.ok((await protectedKey.decrypt(bytes, "text")).includes(identity));
});

test("protect() before the first secret makes a key that is on the disk only with its passphrase", async (t) => {
  const { state, secrets, restarted } = open(t);
  await secrets.protect("correct horse");
  assert.ok(!readFileSync(join(state, "keys/secrets.key"), "latin1").includes("AGE-SECRET-KEY"));
  await secrets.write(one, Buffer.from("hunter2"));
  const next = restarted();
  assert.equal(await next.state(), "locked");
  await next.unlock("correct horse");
  assert.equal((await next.read(one)).toString(), "hunter2");
});

test("createAgeSecrets() unlocks a key that age itself encrypted", async (t) => {
  const { state, secrets, restarted } = open(t);
  await secrets.write(one, Buffer.from("hunter2"));
  const encrypter = new Encrypter();
  encrypter.setPassphrase("correct horse");
  encrypter.setScryptWorkFactor(12);
  writeFileSync(
    join(state, "keys/secrets.key"),
    await encrypter.encrypt(readFileSync(join(state, "keys/secrets.key"))),
  );
  const next = restarted();
  await next.unlock("correct horse");
  assert.equal((await next.read(one)).toString(), "hunter2");
});

test("createAgeSecrets() refuses a key that others may read", async (t) => {
  const { state, secrets, restarted } = open(t);
  await secrets.write(one, Buffer.from("hunter2"));
  chmodSync(join(state, "keys/secrets.key"), 0o640);
  await assert.rejects(restarted().read(one), /others may read/);
});

test("createAgeSecrets() makes no second key beside values of one that is gone", async (t) => {
  const { state, secrets, restarted } = open(t);
  await secrets.write(one, Buffer.from("hunter2"));
  const key = readFileSync(join(state, "keys/secrets.key"));
  rmSync(join(state, "keys/secrets.key"));
  const next = restarted();
  await assert.rejects(next.read(one), unreadable);
  await assert.rejects(next.write(secretVersion("A", 2), Buffer.from("x")), unreadable);
  assert.equal(existsSync(join(state, "keys/secrets.key")), false);
  writeFileSync(join(state, "keys/secrets.key"), key, { mode: 0o600 });
  assert.equal((await next.read(one)).toString(), "hunter2");
});

test("createAgeSecrets() tells of a damaged value without repeating it, and reads all others", async (t) => {
  const { state, secrets } = open(t);
  await secrets.write(one, Buffer.from("hunter2"));
  await secrets.write(secretVersion("B"), Buffer.from("other"));
  const path = join(state, "secrets/shop/production/A/1.age");
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(path, bytes);
  await assert.rejects(secrets.read(one), unreadable);
  writeFileSync(path, "");
  await assert.rejects(secrets.read(one), unreadable);
  assert.equal((await secrets.read(secretVersion("B"))).toString(), "other");
});

test("write() makes one key however many ask at once", async (t) => {
  const { secrets, restarted } = open(t);
  const all = Array.from({ length: 8 }, (_, index) => secretVersion("A", index + 1));
  await Promise.all(all.map((secret) => secrets.write(secret, Buffer.from(`value ${secret.version}`))));
  const next = restarted();
  for (const secret of all) assert.equal((await next.read(secret)).toString(), `value ${secret.version}`);
});
