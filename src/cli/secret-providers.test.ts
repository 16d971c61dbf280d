import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import type { SecretSource } from "../model/definition.ts";
import { mostSecretBytes, parseSecretName } from "../model/secret.ts";
import { wantedSecrets } from "./secret-providers.ts";
import { takeVariables } from "./secret-variables.ts";

const name = parseSecretName("A");
const canary = "canary-of-a-provider";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bz-provider-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function read(folder: string, from: SecretSource, commandMs?: number): Promise<string> {
  const { signal } = new AbortController();
  const [wanted] = await wantedSecrets([{ name, variable: false, from }], { folder }, signal, commandMs);
  return Buffer.from(wanted?.value ?? "", "base64").toString();
}

const shell = (script: string): SecretSource => ({ kind: "command", command: ["/bin/sh", "-c", script] });

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail("it was taken"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OperatorError && error.code === "SECRET_PROVIDER", String(error));
  const told = JSON.stringify(error.toJSON());
  assert.ok(!told.replaceAll("canary.sh", "").includes(canary), told);
  return error.message;
}

test("wantedSecrets() reads files, variables and commands; the line end of a single line is not part of a value", async (t) => {
  const folder = folderFor(t);
  mkdirSync(join(folder, "keys"));
  writeFileSync(join(folder, "keys/a"), `${canary}\r\n`);
  writeFileSync(join(folder, "keys/pem"), "one\ntwo\n");
  assert.equal(await read(folder, { kind: "file", path: "keys/a" }), canary);
  assert.equal(await read(folder, { kind: "file", path: join(folder, "keys/pem") }), "one\ntwo\n");
  assert.equal(await read(folder, shell(`pwd; echo ${canary}`)), `${folder}\n${canary}\n`);
  assert.equal(await read(folder, shell(`echo ${canary}; exec >&-; exit 0`)), canary);
  const env: NodeJS.ProcessEnv = { SHOP_A: canary, OTHER: "x" };
  const secrets = [{ name, variable: true, from: { kind: "env", variable: "SHOP_A" } }] as const;
  takeVariables({ environments: [{ secrets }] } as unknown as Parameters<typeof takeVariables>[0], env);
  assert.deepEqual(env, { OTHER: "x" });
  assert.equal(await read(folder, { kind: "env", variable: "SHOP_A" }), canary);
});

test("wantedSecrets() tells what is wrong with a provider, without anything that it gave or wrote", async (t) => {
  const folder = folderFor(t);
  assert.match(
    await refusal(read(folder, { kind: "file", path: "none" })),
    /"none" cannot be read: there is no such file/,
  );
  assert.match(await refusal(read(folder, { kind: "file", path: "." })), /it is no regular file/);
  assert.match(await refusal(read(folder, { kind: "env", variable: "NOT_SET" })), /NOT_SET is not set/);
  assert.match(await refusal(read(folder, { kind: "command", command: ["/no/such"] })), /\/no\/such is not there/);
  assert.match(await refusal(read(folder, shell(`echo ${canary}; echo ${canary} >&2; exit 3`))), /ended with status 3/);
  assert.match(await refusal(read(folder, shell(`echo ${canary}; kill -9 $$`))), /was killed by SIGKILL/);
  assert.match(await refusal(read(folder, shell(":"))), /gave cannot be used: it is empty/);
  assert.match(await refusal(read(folder, shell("cat /dev/zero"))), new RegExp(`more than ${mostSecretBytes} bytes`));
  writeFileSync(join(folder, "large"), canary.repeat(10_000));
  assert.match(
    await refusal(read(folder, { kind: "file", path: "large" })),
    new RegExp(`longer than ${mostSecretBytes} bytes`),
  );
});

test("wantedSecrets() refuses what cannot be a variable before anything is built", async (t) => {
  const folder = folderFor(t);
  const ask = (variable: boolean) =>
    wantedSecrets([{ name, variable, from: shell("printf 'a\\000b'") }], { folder }, new AbortController().signal);
  await assert.rejects(ask(true), /holds a NUL byte: it can be a file, but not a variable/);
  assert.equal((await ask(false)).length, 1);
});

test("wantedSecrets() ends a command that hangs, with all that it started", async (t) => {
  const folder = folderFor(t);
  const script = `sleep 1000 & echo $! > child; echo ${canary}; wait`;
  assert.match(await refusal(read(folder, shell(script), 300)), /gave no value within/);
  const child = Number(readFileSync(join(folder, "child"), "utf8"));
  for (let tries = 0; existsSync(`/proc/${child}`) && !isZombie(child); tries += 1) {
    assert.ok(tries < 500, "what it started goes on");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // One that ended and left something behind has given its value.
  assert.equal(await read(folder, shell(`sleep 1000 & echo ${canary}`)), canary);
});

test("wantedSecrets() is ended by Ctrl-C", async (t) => {
  const folder = folderFor(t);
  const controller = new AbortController();
  const work = wantedSecrets([{ name, variable: false, from: shell("sleep 1000") }], { folder }, controller.signal);
  controller.abort(new Error("Ctrl-C"));
  await assert.rejects(work, /Ctrl-C/);
});

function isZombie(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}
