import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { sha256 } from "../model/canonical.ts";
import { underLock } from "./file-lock.ts";
import { changeLock, parseLock, readLock, serialiseLock, type LockFile } from "./lock-file.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));
function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-lock-"));
  folders.push(dir);
  return dir;
}
const { signal } = new AbortController();
const pin = (text: string): LockFile["bases"][string] => ({
  index: sha256(`${text} index`),
  platforms: { "linux/arm64": sha256(`${text} arm`), "linux/amd64": sha256(text) },
});
const withBase = (lock: LockFile, name: string): LockFile => ({ ...lock, bases: { ...lock.bases, [name]: pin(name) } });

test("`changeLock()` writes sorted keys, two spaces and one newline at the end, and nothing where nothing changes", async () => {
  const dir = newFolder();
  assert.deepEqual(await readLock(dir), { bases: {}, debian: {} });
  await changeLock(dir, signal, (lock) => lock);
  assert.deepEqual(readdirSync(dir), []);
  await changeLock(dir, signal, (lock) => withBase(withBase(lock, "b/b:1"), "a/a:1"));
  const text = readFileSync(join(dir, "bronze.lock"), "utf8");
  assert.match(text, /^\{\n {2}"bases": \{\n {4}"a\/a:1": \{\n {6}"index": "sha256:[^]*\n {2}"version": 1\n\}\n$/);
  assert.equal(serialiseLock(parseLock(text)), text);
  const { ino } = statSync(join(dir, "bronze.lock"));
  await changeLock(dir, signal, (lock) => withBase(lock, "b/b:1"));
  assert.equal(statSync(join(dir, "bronze.lock")).ino, ino);
});

test("`changeLock()` loses nothing when many change it at once", async () => {
  const dir = newFolder();
  const names = Array.from({ length: 12 }, (_, index) => `host/base:${index}`);
  await Promise.all(names.map((name) => changeLock(dir, signal, (lock) => withBase(lock, name))));
  assert.deepEqual(Object.keys((await readLock(dir)).bases).sort(), names.sort());
});

test("`changeLock()` removes what killed builds left half-written, and nothing else", async () => {
  const dir = newFolder();
  writeFileSync(join(dir, ".bronze.lock.4194304999.0123abcd"), "{");
  writeFileSync(join(dir, ".bronze.lock.mine"), "");
  await changeLock(dir, signal, (lock) => withBase(lock, "a/a:1"));
  assert.deepEqual(readdirSync(dir).sort(), [".bronze.lock.mine", "bronze.lock"]);
});

test("`changeLock()` stops waiting for another build when it is interrupted", async () => {
  const dir = newFolder();
  const waiting = new AbortController();
  const isInterrupted = (error: unknown): boolean => error instanceof OperatorError && error.code === "INTERRUPTED";
  await underLock(dir, signal, async () => {
    const second = changeLock(dir, waiting.signal, (lock) => lock);
    setTimeout(() => waiting.abort(), 100);
    await assert.rejects(second, isInterrupted);
    await assert.rejects(
      changeLock(dir, waiting.signal, (lock) => lock),
      isInterrupted,
    );
  });
  assert.deepEqual(await changeLock(dir, signal, (lock) => lock), { bases: {}, debian: {} });
});

const good = sha256("x");
const bad: readonly (readonly [what: string, text: string, says: RegExp])[] = [
  ["no JSON", "{", /it is no JSON/],
  ["a merge conflict", '{\n<<<<<<< HEAD\n"version": 1\n', /merge conflict/],
  ["a list", "[]", /it is no object/],
  ["another version", '{"version": 2}', /its version is 2/],
  ["no version", "{}", /its version is missing/],
  ["an unknown key", '{"version": 1, "images": {}}', /"images", which is not known/],
  ["bases that are a list", '{"version": 1, "bases": []}', /bases is no object/],
  ["a digest that is none", '{"version": 1, "bases": {"a": {"platforms": {"linux/amd64": "sha256:1"}}}}', /no sha256/],
  [
    "an index that is none",
    `{"version": 1, "bases": {"a": {"index": 1, "platforms": {"p": "${good}"}}}}`,
    /index is no/,
  ],
  ["no platform", '{"version": 1, "bases": {"a": {"platforms": {}}}}', /names 0 platforms/],
  [
    "too many bases",
    JSON.stringify({ version: 1, bases: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`a${i}`, {}])) }),
    /1001 bases/,
  ],
];

test("`readLock()` names what is wrong in a file that is damaged", async () => {
  const dir = newFolder();
  for (const [what, text, says] of bad) {
    writeFileSync(join(dir, "bronze.lock"), text);
    await assert.rejects(
      readLock(dir),
      (error) => error instanceof OperatorError && error.code === "DEFINITION_INVALID" && says.test(error.message),
      what,
    );
  }
  rmSync(join(dir, "bronze.lock"));
  mkdirSync(join(dir, "bronze.lock"));
  await assert.rejects(readLock(dir), /no regular file/);
});
