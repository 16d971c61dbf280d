import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../model/canonical.ts";
import { artifact, kind, problemOf, said } from "./fixture.suite.ts";
import { mostStatementBytes, readStatement, serialiseStatement } from "./statement.ts";

test("`readStatement()` reads what `serialiseStatement()` writes", () => {
  assert.deepEqual(readStatement(serialiseStatement(said)), said);
});

test("`serialiseStatement()` gives equal statements equal bytes", () => {
  const { subject, predicateType, predicate } = said;
  assert.deepEqual(serialiseStatement({ predicate, predicateType, subject }), serialiseStatement(said));
});

const hex = artifact.slice(7);
const good = {
  _type: "https://in-toto.io/Statement/v1",
  subject: [{ digest: { sha256: hex } }],
  predicateType: kind,
  predicate: {},
};
const other = { digest: { sha256: sha256("other").slice(7) } };

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ["a second subject", { ...good, subject: [...good.subject, other] }, /2 subjects, one is allowed/],
  ["a thousand subjects", { ...good, subject: Array.from({ length: 1000 }, () => other) }, /1000 subjects/],
  ["no subject", { ...good, subject: [] }, /no subject/],
  [
    "a subject with a second digest",
    { ...good, subject: [{ digest: { sha256: hex, sha512: "ab" } }] },
    /by sha256 alone/,
  ],
  ["a subject named by another hash", { ...good, subject: [{ digest: { sha1: hex } }] }, /by sha256 alone/],
  ["a digest in capitals", { ...good, subject: [{ digest: { sha256: hex.toUpperCase() } }] }, /by sha256 alone/],
  ["version 0.1", { ...good, _type: "https://in-toto.io/Statement/v0.1" }, /not in-toto's version 1/],
  ["a field that statements have not", { ...good, subjects: [] }, /unknown field "subjects"/],
  ["no kind", { ...good, predicateType: "sbom" }, /of what kind/],
  ["nothing said", { ...good, predicate: null }, /says nothing/],
  ["a list", [good], /no JSON object/],
];

for (const [what, value, words] of refused)
  test(`\`readStatement()\` refuses ${what}`, () => {
    assert.match(problemOf(readStatement(Buffer.from(JSON.stringify(value)))), words);
  });

test("`readStatement()` refuses 50 MB, without looking at them", () => {
  const bytes = Buffer.alloc(50 * 2 ** 20, 0x20);
  assert.match(problemOf(readStatement(bytes)), new RegExp(`52428800 bytes, at most ${mostStatementBytes}`));
});

test("`readStatement()` refuses what is no UTF-8, and what is cut off", () => {
  const bytes = serialiseStatement(said);
  assert.match(problemOf(readStatement(bytes.subarray(0, -1))), /no JSON object/);
  assert.match(problemOf(readStatement(Buffer.concat([bytes, Buffer.from([0xff])]))), /no JSON object/);
});
