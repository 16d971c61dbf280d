import assert from "node:assert/strict";
import test from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { parseDefinition } from "./parse.ts";

const smallest = "app: shop\nbuild: { dockerfile: Dockerfile }\n";

test("parseDefinition() gives each environment its own secrets over those of all", () => {
  const { environments } = parseDefinition(
    `${smallest}secrets: [DATABASE_URL, { name: tls.pem, from: { file: keys/tls.pem } }]\nenvironments:\n  staging: {}\n  production: { secrets: [{ name: DATABASE_URL, variable: true, from: { command: [vault, read, db] } }, { name: TOKEN, variable: true, from: { env: SHOP_TOKEN } }] }\n`,
    "bronze.yaml",
  );
  const pem = { name: "tls.pem", variable: false, from: { kind: "file", path: "keys/tls.pem" } };
  assert.deepEqual(
    environments.map(({ secrets }) => secrets),
    [
      [{ name: "DATABASE_URL", variable: false }, pem],
      [
        pem,
        { name: "DATABASE_URL", variable: true, from: { kind: "command", command: ["vault", "read", "db"] } },
        { name: "TOKEN", variable: true, from: { kind: "env", variable: "SHOP_TOKEN" } },
      ],
    ],
  );
  assert.equal(parseDefinition(smallest, "bronze.yaml").environments[0]?.secrets, undefined);
  assert.deepEqual(parseDefinition(`${smallest}secrets: [A]\n`, "bronze.yaml").environments[0]?.secrets, [
    { name: "A", variable: false },
  ]);
});

for (const [what, text, finding] of [
  ["no list", "secrets: DATABASE_URL", /3:10 secrets: must be a list/],
  ["a name twice", "secrets: [A, { name: A }]", /3:14 secrets\[1\]: A is named twice/],
  ["a mapping without a name", "secrets: [{ variable: true }]", /name: NAME is missing/],
  ["no variable's name", "secrets: [{ name: tls.pem, variable: true }]", /"tls.pem" cannot be a variable/],
  ["a variable of ours", "secrets: [{ name: PORT, variable: true }]", /Bronze sets that variable itself/],
  ["two sources", "secrets: [{ name: A, from: { env: A, file: a } }]", /must say one of file, env and command/],
  ["no source", "secrets: [{ name: A, from: {} }]", /must say one of/],
  ["an unknown source", "secrets: [{ name: A, from: { fiel: a } }]", /did you mean "file"\?/],
  ["an unknown key", "secrets: [{ nam: A }]", /did you mean "name"\?/],
  ["a command that is a text", "secrets: [{ name: A, from: { command: 5 } }]", /command/],
  [
    "config and variable",
    "config: { A: x }\nsecrets: [{ name: A, variable: true }]",
    /A is config of production already/,
  ],
] as const) {
  test(`parseDefinition() refuses secrets that are wrong: ${what}`, () => {
    assert.throws(
      () => parseDefinition(`${smallest}${text}\n`, "bronze.yaml"),
      (error: unknown) =>
        error instanceof OperatorError && finding.test(JSON.stringify(error.toJSON()).replaceAll('\\"', '"')),
      text,
    );
  });
}

test("parseDefinition() never repeats a value that stands where a name should", () => {
  assert.throws(
    () => parseDefinition(`${smallest}secrets: [DATABASE_URL=hunter2]\n`, "bronze.yaml"),
    (error: unknown) => error instanceof OperatorError && !JSON.stringify(error.toJSON()).includes("hunter2"),
  );
});
