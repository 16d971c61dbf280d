import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { defaultEnvironmentSettings } from "../model/content.ts";
import { parseEnvironmentName } from "../model/names.ts";
import { definedConfig } from "./defined-config.ts";
import { readVariables } from "./variables-file.ts";

const folder = mkdtempSync(join(tmpdir(), "bz-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));
const file = (content: string | Buffer): string => {
  writeFileSync(join(folder, "file"), content);
  return join(folder, "file");
};
const refusalOf = (path: string): OperatorError => {
  try {
    readVariables(path, "my.env", "ARGUMENT_INVALID");
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError, String(thrown));
    return thrown;
  }
  throw new Error("nothing was refused");
};
const told = (content: string | Buffer): string => {
  const { message, cause } = refusalOf(file(content));
  return `${message}\n${cause instanceof Error ? cause.message : ""}`;
};

test("`readVariables()` reads dotenv lines, or a JSON object of plain values", () => {
  assert.deepEqual(readVariables(file("A=1\nB='x'\n"), "f", "ARGUMENT_INVALID"), { A: "1", B: "x" });
  const json = ' {"A": 1, "B": true, "C": "x", "D": null}';
  assert.deepEqual(readVariables(file(json), "f", "ARGUMENT_INVALID"), { A: "1", B: "true", C: "x", D: null });
});

test("`readVariables()` names everything that is wrong, by file and line, and no value", () => {
  assert.match(
    told("A=1\nA=2\nPORT=3\nnothing\n"),
    /3 problems[^]*my\.env:2: A [^]*my\.env:3: PORT [^]*my\.env:4: must/,
  );
  assert.match(told('{"A": {}, "1B": "hidden"}'), /my\.env: A is neither[^]*my\.env: 1B is not a variable/);
  assert.doesNotMatch(told('{"1B": "hidden"}') + told("1B=hidden\nhidden\n"), /hidden/);
  assert.match(told('{"A": 1'), /is not JSON/);
  assert.match(told(Buffer.from([0x41, 0x3d, 0xff])), /Cannot read variables from "my\.env"/);
  assert.match(told("A='never closed"), /my\.env:1: the quote/);
  assert.match(told(`A=${"x".repeat(33_000)}`), /my\.env:1: A is 33000 bytes/);
  assert.match(told(Array.from({ length: 600 }, (_, i) => `A${i}=1`).join("\n")), /600 names/);
  assert.match(told("#".repeat(2 ** 20 + 1)), /1048577 bytes/);
  assert.equal(refusalOf(join(folder, "none")).code, "NOT_FOUND");
  mkdirSync(join(folder, "folder"));
  assert.match(refusalOf(join(folder, "folder")).message, /no regular file/);
});

test("`definedConfig()` puts an environment's values over those of all, whichever of them is a file", () => {
  file("LEVEL=debug\nFILE=1\n");
  const production = { name: parseEnvironmentName("production"), from: null, settings: defaultEnvironmentSettings };
  const values = { kind: "values", values: { LEVEL: "info", VALUES: "1" } } as const;
  const path = { kind: "file", path: "file" } as const;
  const both = { FILE: "1", VALUES: "1" };
  const defined = (top: typeof values | typeof path, own: typeof values | typeof path) =>
    definedConfig({ config: top }, { ...production, config: own }, folder);
  assert.deepEqual(defined(values, path), { LEVEL: "debug", ...both });
  assert.deepEqual(defined(path, values), { LEVEL: "info", ...both });
  assert.deepEqual(definedConfig({}, production, folder), {});
  assert.throws(() => definedConfig({ config: { kind: "file", path: "none" } }, production, folder), {
    code: "DEFINITION_INVALID",
  });
});
