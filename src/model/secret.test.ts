import assert from "node:assert/strict";
import test from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { hideValues, parseSecretName, whyNoVariable, whyNoVariableValue } from "./secret.ts";

test("parseSecretName() takes names of files and variables, and never repeats a value that came with one", () => {
  for (const name of ["DATABASE_URL", "tls.pem", "a", "7up", "x".repeat(64)]) assert.equal(parseSecretName(name), name);
  for (const name of ["", ".", "..", "-x", "a/b", "a b", "x".repeat(65), "ä"])
    assert.throws(() => parseSecretName(name), OperatorError);
  assert.throws(
    () => parseSecretName("DATABASE_URL=hunter2"),
    (error: unknown) =>
      error instanceof OperatorError &&
      !JSON.stringify(error.toJSON()).includes("hunter2") &&
      /pipe it in/.test(error.hint),
  );
});

test("whyNoVariable() refuses what is no variable's name, and those that Bronze sets", () => {
  assert.equal(whyNoVariable(parseSecretName("DATABASE_URL")), undefined);
  for (const name of ["tls.pem", "7up", "PATH", "PORT", "BRONZE_APP"])
    assert.notEqual(whyNoVariable(parseSecretName(name)), undefined, name);
});

test("whyNoVariableValue() refuses what no variable can carry", () => {
  assert.equal(whyNoVariableValue(Buffer.from("pass wörd\nmore")), undefined);
  assert.match(whyNoVariableValue(Buffer.from([65, 0])) ?? "", /NUL/);
  assert.match(whyNoVariableValue(Buffer.from([0xff, 0xfe])) ?? "", /UTF-8/);
});

test("hideValues() takes values out as they are, line by line, in JSON, URLs and base64, and leaves the rest", () => {
  const value = 'hunter2 "x"/y\n';
  const pem = "-----BEGIN KEY-----\nc2VjcmV0c2VjcmV0\n-----END KEY-----\n";
  const hide = hideValues([Buffer.from(value), Buffer.from(pem), Buffer.from("no")]);
  const all = [
    value.trim(),
    JSON.stringify(value.trim()),
    encodeURIComponent(value.trim()),
    Buffer.from(value).toString("base64"),
    "key c2VjcmV0c2VjcmV0 found",
    pem,
  ];
  for (const text of all) {
    const hidden = hide(text);
    assert.ok(hidden.includes("[redacted]") && !/hunter2|c2VjcmV0/.test(hidden), text);
  }
  assert.equal(hide("nothing to see, no"), "nothing to see, no");
});
