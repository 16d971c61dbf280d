import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sha256 } from "../model/canonical.ts";
import { keyIdOf } from "./envelope.ts";
import { LogWriter, logOf, newKey, problemOf } from "./fixture.suite.ts";
import { emptyKeyLog, readKeyLog } from "./key-log.ts";

const [first, second, third, stranger] = [newKey(), newKey(), newKey(), newKey()];
const whole = new LogWriter().bring(first).bring(second).revoke(first, "stolen").bring(third);

test("`readKeyLog()` tells of each key what became of it, and which one signs", () => {
  const { keys, active, head, entries } = logOf(whole.text);
  assert.deepEqual(
    keys.map(({ id, state, reason }) => [id, state, reason]),
    [
      [keyIdOf(first), "revoked", "stolen"],
      [keyIdOf(second), "rotated", null],
      [keyIdOf(third), "active", null],
    ],
  );
  assert.equal(active?.id, keyIdOf(third));
  assert.equal(entries.length, 4);
  assert.equal(head, sha256(whole.lines.at(-1) ?? ""));
  assert.deepEqual(logOf(""), emptyKeyLog);
});

test("`readKeyLog()` refuses a log with any character changed", () => {
  const { text } = whole;
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom("A", "0", '"', "}", "\n", "\u0000"), (at, character) => {
      fc.pre(text[at] !== character);
      const log = readKeyLog(text.slice(0, at) + character + text.slice(at + 1));
      // What stood before is whole: cut off there, the log would be an older one, which its head tells.
      assert.equal(typeof log, "string");
    }),
    { numRuns: 400 },
  );
});

test("`readKeyLog()` refuses lines that were removed, doubled or moved, and names the entry", () => {
  const [a = "", b = "", c = "", d = ""] = whole.lines;
  for (const [lines, words] of [
    [[b, c, d], /^entry 0: it says that it is entry 1: one is missing or moved/],
    [[a, c, d], /^entry 1: it says that it is entry 2/],
    [[a, b, d], /^entry 2/],
    [[a, b, b, c, d], /^entry 2/],
    [[a, c, b, d], /^entry 1/],
  ] as const)
    assert.match(problemOf(readKeyLog(lines.map((line) => `${line}\n`).join(""))), words);
  assert.match(problemOf(readKeyLog(whole.text.slice(0, -1))), /not whole/);
});

test("`readKeyLog()` refuses an entry of a key that does not sign", () => {
  const forged = new LogWriter().bring(first);
  forged.active = stranger;
  assert.match(problemOf(readKeyLog(forged.bring(second).text)), /entry 1: it is not signed by/);
  const revoking = new LogWriter().bring(first).bring(second);
  revoking.active = first;
  assert.match(problemOf(readKeyLog(revoking.revoke(first).text)), /entry 2: it is not signed by/);
});

test("`readKeyLog()` refuses what is signed by the right key and makes no sense", () => {
  assert.match(problemOf(readKeyLog(new LogWriter().bring(first).revoke(first).text)), /has to be rotated before/);
  assert.match(problemOf(readKeyLog(new LogWriter().bring(first).revoke(second).text)), /not in the log/);
  assert.match(problemOf(readKeyLog(new LogWriter().bring(first).bring(first).text)), /there before/);
  const twice = new LogWriter().bring(first).bring(second).revoke(first).revoke(first);
  assert.match(problemOf(readKeyLog(twice.text)), /entry 3: it revokes a key that is revoked/);
  const anew = new LogWriter().bring(first);
  anew.active = undefined;
  assert.match(problemOf(readKeyLog(anew.bring(second).text)), /only one first key/);
});

test("`readKeyLog()` refuses nested and endless lines without being overrun", () => {
  assert.match(problemOf(readKeyLog(`${"[".repeat(1_000_000)}\n`)), /malformed/);
  assert.match(problemOf(readKeyLog(`{"entry":${"[".repeat(500_000)}${"]".repeat(500_000)}}\n`)), /malformed/);
  assert.match(problemOf(readKeyLog("x".repeat(5_000_000))), /more than/);
});
