import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEnv } from "node:util";
import fc from "fast-check";
import { parseDotenv } from "./dotenv.ts";

const valuesOf = (text: string) =>
  Object.fromEntries(parseDotenv(text).entries.map(({ name, value }) => [name, value] as const));

test("`parseDotenv()` reads quotes, comments, escapes and several lines", () => {
  const text = [
    "# a comment",
    "",
    "PLAIN=one two # not this",
    "export EXPORTED = yes",
    "HASH=a#b",
    "EMPTY=",
    "ONLY_COMMENT= # nothing",
    "SINGLE='a \"b\" \\n $HOME' # after",
    'DOUBLE="tab\\there \\"quoted\\" \\$HOME"',
    'LINES="first',
    'second"',
    "LAST=$HOME\r",
  ].join("\n");
  assert.deepEqual(valuesOf(`\uFEFF${text}\n`), {
    PLAIN: "one two",
    EXPORTED: "yes",
    HASH: "a#b",
    EMPTY: "",
    ONLY_COMMENT: "",
    SINGLE: 'a "b" \\n $HOME',
    DOUBLE: 'tab\there "quoted" $HOME',
    LINES: "first\nsecond",
    LAST: "$HOME",
  });
  assert.equal(parseDotenv(text).entries.at(-1)?.line, 12);
});

test("`parseDotenv()` names each line that it cannot read", () => {
  const { entries, problems } = parseDotenv('A=1\nnot a line\n=x\nB="x" y\nC=2\nD="never closed\nE=3\n');
  assert.deepEqual(
    entries.map(({ name }) => name),
    ["A", "C", "E"],
  );
  assert.deepEqual(
    problems.map(({ line }) => line),
    [2, 3, 4, 6],
  );
});

test("`parseDotenv()` reads what Node's own reader writes the same way, and never throws", () => {
  const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,10}$/);
  const value = fc.stringMatching(/^[a-zA-Z0-9 .,:/=-]{0,20}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), (pairs) => {
      const text = pairs.map(([key, content]) => `${key}='${content}'`).join("\n");
      assert.deepEqual(valuesOf(text), { ...parseEnv(text) });
    }),
  );
  fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => void parseDotenv(text)));
});
