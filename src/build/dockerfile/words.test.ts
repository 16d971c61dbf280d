import assert from "node:assert/strict";
import { test } from "node:test";
import { expandText, expandWords, splitQuoted } from "./words.ts";

const variables = new Map([
  ["A", "x y"],
  ["E", ""],
  ["P", "/a/b/c.tar.gz"],
  ["S", "a*b"],
  ["W", "foobarfoo"],
]);

/** What BuildKit's documentation and its own tables of examples say. */
const texts: readonly (readonly [text: string, value: string])[] = [
  ["$A ${A}b", "x y x yb"],
  ["'$A' \"$A\" \\$A", "$A x y $A"],
  ["${N:-d} ${E:-d} ${E-d}. ${A:+s} ${N:+s} ${E+s}.", "d d . s  s."],
  ["${N:-${A}} ${N:-${E:-z}}", "x y z"],
  ["${A:?no} ${E?no}.", "x y ."],
  ["${P#*/} ${P##*/}", "a/b/c.tar.gz c.tar.gz"],
  ["${P%.*} ${P%%.*}", "/a/b/c.tar /a/b/c"],
  ["${P#x} ${P%x}", "/a/b/c.tar.gz /a/b/c.tar.gz"],
  ["${S#a\\*} ${S%\\*b}", "b a"],
  ["${W/foo/x} ${W//foo/x} ${W/o*r/-} ${W//o/}", "xbarfoo xbarx f-foo fbarf"],
  ["${P/\\/a/x} ${P//\\//-}", "x/b/c.tar.gz -a-b-c.tar.gz"],
  ['a\\ b \'c\\d\' "c\\"d\\e"', 'a b c\\d c"d\\e'],
  ["$ $1 $/ 100$", "$  $/ 100$"],
  ["${A}$A_B$A-C", "x yx y-C"],
  ["\\\\ \\", "\\ "],
  ["'' \"\"", " "],
];

for (const [text, value] of texts)
  test(`\`expandText()\` makes ${JSON.stringify(value)} of ${text}`, () =>
    assert.equal(expandText(text, variables, { escape: "\\" }), value));

for (const text of [
  '"open',
  "'open",
  "${A",
  "${}",
  "${:x}",
  "${A:x}",
  "${A^}",
  "${N:?gone}",
  "${E:?}",
  "${W/a}",
  "${S#\\q}",
])
  test(`\`expandText()\` refuses ${text}`, () =>
    assert.throws(() => expandText(text, variables, { escape: "\\" }), SyntaxError));

test("`expandText()` names the message of `${A:?message}`, and stops at deep nesting", () => {
  assert.throws(() => expandText("${N:?say N}", variables, { escape: "\\" }), /N: say N/);
  assert.throws(() => expandText("${N:-".repeat(100_000), variables, { escape: "\\" }), /nested too deeply/);
});

test("`expandText()` takes the file's own escape character", () => {
  assert.equal(expandText("C:\\x `$A", variables, { escape: "`" }), "C:\\x $A");
});

test("`expandWords()` splits outside of quotes, and what variables hold", () => {
  assert.deepEqual(expandWords(" a $A \"$A\" b\\ c '' ", variables, { escape: "\\" }), ["a", "x", "y", "x y", "b c"]);
});

test("`splitQuoted()` leaves words as they are written", () => {
  assert.deepEqual(splitQuoted("A=1 B=\"x y\" C='p q'r D=a\\ b E= \\", "\\"), [
    "A=1",
    'B="x y"',
    "C='p q'r",
    "D=a\\ b",
    "E=",
  ]);
});
