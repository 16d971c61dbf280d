import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandLine, portOfCommand } from "./command-line.ts";
import { commandMayHoldSecret, mayBeSecret } from "./secrets.ts";
import { pythonTakes } from "./versions.ts";
import { interpolated } from "./carried.ts";

const lines: readonly (readonly [line: string, words: readonly string[] | null])[] = [
  ["node server.js", ["node", "server.js"]],
  ["exec node 'a b.js' \"c d\" e\\ f", ["node", "a b.js", "c d", "e f"]],
  ["node -p $PORT --x=${PORT:-3000}", ["node", "-p", "8080", "--x=8080"]],
  ["a && b", null],
  ["a | b", null],
  ["a $HOME", null],
  ["a *.js", null],
  ["a 'b", null],
  ["", null],
];
for (const [line, words] of lines) {
  test(`parseCommandLine() takes ${JSON.stringify(line)} apart`, () => {
    assert.deepEqual(parseCommandLine(line, 8080).words, words);
  });
}

test("parseCommandLine() parts variables from the program", () => {
  const { env, words } = parseCommandLine(`A=1 B="x y" node s.js`, 1);
  assert.deepEqual(
    [env, words],
    [
      [
        ["A", "1"],
        ["B", "x y"],
      ],
      ["node", "s.js"],
    ],
  );
});

test("portOfCommand() finds the port that arguments name", () => {
  const commands = ["a --port 3000", "a -p=81", "a --bind 0.0.0.0:8000", "a -b :5000 x", "a --port 99999", "a 3000"];
  assert.deepEqual(commands.map(portOfCommand), [3000, 81, 8000, 5000, undefined, undefined]);
});

test("mayBeSecret() goes by name and by shape", () => {
  const secret: readonly (readonly [string, string])[] = [
    ["SECRET_KEY_BASE", "x"],
    ["STRIPE_APIKEY", "x"],
    ["dbPassword", "x"],
    ["DATABASE_URL", "postgres://me:pw@db/x"],
    ["X", "ghp_0123456789abcdef"],
    ["X", "-----BEGIN RSA PRIVATE KEY-----"],
    ["X", "8f14e45fceea167a5a36dedd4bea2543"],
    ["X", "eyJhbGciOiJIUzI1NiJ9.e30.x"],
  ];
  const plain: readonly (readonly [string, string])[] = [
    ["LOG_LEVEL", "info"],
    ["NODE_ENV", "production"],
    ["DATABASE_URL", "postgres://db.example:5432/shop"],
    ["GREETING", "a long and harmless line of words"],
    ["ORIGIN", "https://shop.example/some/long/path/to/a/page"],
    ["IMAGE_VERSION", "2026.11.21"],
  ];
  for (const [name, value] of secret) assert.ok(mayBeSecret(name, value), `${name}=${value}`);
  for (const [name, value] of plain) assert.ok(!mayBeSecret(name, value), `${name}=${value}`);
});

test("commandMayHoldSecret() finds arguments that are secrets, not those that name where one is", () => {
  assert.ok(commandMayHoldSecret("app --password hunter2"));
  assert.ok(commandMayHoldSecret("app --api-key=x"));
  assert.ok(commandMayHoldSecret("app --db postgres://a:b@c/d"));
  assert.ok(!commandMayHoldSecret("app --token $TOKEN --workers 2"));
});

test("pythonTakes() reads ranges as pip and Poetry do", () => {
  const minors = (range: string): readonly number[] => [9, 10, 11, 12, 13].filter((minor) => pythonTakes(range, minor));
  assert.deepEqual(minors(">=3.10,<3.13"), [10, 11, 12]);
  assert.deepEqual(minors("^3.11"), [11, 12, 13]);
  assert.deepEqual(minors("~=3.12"), [12, 13]);
  assert.deepEqual(minors("~=3.12.1"), [12]);
  assert.deepEqual(minors("==3.9.*"), [9]);
  assert.deepEqual(minors(">=3.9,!=3.10.*,<4"), [9, 11, 12, 13]);
  assert.deepEqual(minors(">=2.7"), [9, 10, 11, 12, 13]);
});

test("interpolated() takes defaults, and nothing that comes from elsewhere", () => {
  assert.deepEqual(["a $$b", "${A:-x}", "${A-}", "$A", "${A}", "${A:?must}", "plain"].map(interpolated), [
    "a $b",
    "x",
    "",
    null,
    null,
    null,
    "plain",
  ]);
});
