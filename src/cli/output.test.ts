import assert from "node:assert/strict";
import test from "node:test";
import { createOutput } from "./output.ts";

function open(
  isTTY: boolean,
  env: Readonly<Record<string, string>> = {},
): ReturnType<typeof createOutput> & { said(): string } {
  let text = "";
  const stream = { write: (more: string) => (text += more), isTTY, columns: 20 };
  const output = createOutput({ stdout: stream, stderr: stream, env: { NO_COLOR: "1", ...env } }, false);
  return { ...output, said: () => text };
}

const erase = "\r\u001b[K";

test("createOutput() draws what goes on over what went on, below what stays", () => {
  const output = open(true);
  output.live("one");
  output.note("stays");
  output.live("two\u0007");
  output.line("done");
  output.live("");
  output.live("");
  assert.equal(
    output.said(),
    `${erase}one${erase}stays\n${erase}one${erase}two\\x07${erase}done\n${erase}two\\x07${erase}`,
  );
});

test("createOutput() keeps what goes on within one line", () => {
  const output = open(true);
  output.live("a line that is much longer than the terminal is wide");
  assert.ok(output.said().length <= erase.length + 19, output.said());
});

test("createOutput() tells what goes on to no file, and to no terminal that cannot erase", () => {
  for (const output of [open(false), open(true, { TERM: "dumb" })]) {
    output.live("one");
    output.note("stays");
    assert.equal(output.said(), "stays\n");
    assert.equal(output.isLive, false);
  }
});
