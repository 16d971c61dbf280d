import assert from "node:assert/strict";
import { test } from "node:test";
import { diffJson, type Difference } from "./difference.ts";
import { diffBytes, diffTars } from "./tar-difference.ts";
import type { TarEntry } from "./tar-entry.ts";
import { writeTar, type TarSource } from "./tar-write.ts";

function member(path: string, content: string | Buffer = "", change: Partial<TarEntry> = {}): TarSource {
  const bytes = Buffer.from(content);
  const size = bytes.byteLength;
  const entry: TarEntry = { path, kind: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0, size, target: "", ...change };
  return entry.kind === "file" ? { entry, content: () => [bytes] } : { entry };
}

async function* archive(sources: readonly TarSource[], pieceBytes: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.concat([...writeTar(sources)].map((piece) => Buffer.from(piece)));
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function diff(one: readonly TarSource[], two: readonly TarSource[]): Promise<readonly Difference[]> {
  const found: Difference[] = [];
  for await (const difference of diffTars(archive(one, 700), archive(two, 1111))) found.push(difference);
  return found;
}

test("diffTars() finds nothing in equal archives, however they are cut into pieces", async () => {
  const sources = [member("a", "x".repeat(5000)), member("b", "", { kind: "directory" }), member("b/c", "one\n")];
  assert.deepEqual(await diff(sources, sources), []);
});

test("diffTars() names member and header field of each difference", async () => {
  const cases: readonly (readonly [Partial<TarEntry>, Partial<Difference>])[] = [
    [{ mode: 0o755 }, { field: "mode", first: "644", second: "755" }],
    [{ uid: 7 }, { field: "uid", first: "0", second: "7" }],
    [{ gid: 7 }, { field: "gid", first: "0", second: "7" }],
    [{ mtime: 60 }, { field: "mtime", first: "1970-01-01T00:00:00.000Z", second: "1970-01-01T00:01:00.000Z" }],
  ];
  for (const [change, expected] of cases)
    assert.deepEqual(await diff([member("etc/app", "x")], [member("etc/app", "x", change)]), [
      { path: "etc/app", ...expected },
    ]);
  const capable = (value: string): TarSource => member("tool", "", { attributes: { "security.capability": value } });
  assert.deepEqual(await diff([capable("\u0001")], [capable("\u00ff")]), [
    {
      path: "tool",
      field: "attributes",
      first: "security.capability 01",
      second: "security.capability ff",
    },
  ]);
  const links = [member("l", "", { kind: "symlink", target: "a" }), member("l", "", { kind: "symlink", target: "b" })];
  assert.deepEqual(await diff(links.slice(0, 1), links.slice(1)), [
    { path: "l", field: "target", first: "a", second: "b" },
  ]);
  assert.deepEqual(
    (await diff([member("l")], links.slice(0, 1))).map(({ field }) => field),
    ["kind", "target"],
  );
});

test("diffTars() names members that only one has, and goes on with the others", async () => {
  const found = await diff([member("a", "1"), member("c", "2"), member("d", "3")], [member("b"), member("d", "4")]);
  assert.deepEqual(
    found.map(({ path, field, first, second }) => [path, field, first, second]),
    [
      ["a", "presence", "file, mode 644, 1 bytes", "absent"],
      ["b", "presence", "absent", "file, mode 644, 0 bytes"],
      ["c", "presence", "file, mode 644, 1 bytes", "absent"],
      ["d", "content", "3", "4"],
    ],
  );
});

test("diffTars() names the first byte of a content that differs and, in a text, the line", async () => {
  const text = `${"a line\n".repeat(900)}built at `;
  assert.deepEqual(await diff([member("log", `${text}08:00\nend\n`)], [member("log", `${text}09:00\nend\n`)]), [
    {
      path: "log",
      field: "content",
      first: "built at 08:00",
      second: "built at 09:00",
      offset: text.length + 1,
      line: 901,
    },
  ]);
  const binary = Buffer.concat([Buffer.alloc(3000), Buffer.from("abc")]);
  const other = Buffer.from(binary);
  other[3001] = 0;
  assert.deepEqual(await diff([member("bin", binary)], [member("bin", other)]), [
    { path: "bin", field: "content", first: "6263", second: "0063", offset: 3001 },
  ]);
  assert.deepEqual(
    (await diff([member("log", "one\n")], [member("log", "one\ntwo\n")])).map(({ field, first, second, line }) => [
      field,
      first,
      second,
      line,
    ]),
    [
      ["size", "4", "8", undefined],
      ["content", "end of file", "two", 2],
    ],
  );
});

test("diffTars() says so and stops where members are not in order", async () => {
  const sources = [member("b"), member("a")];
  assert.deepEqual(
    (await diff(sources, sources)).map(({ path, field }) => [path, field]),
    [["a", "order"]],
  );
});

test("diffBytes() gives the offset of the first byte that differs, or nothing", async () => {
  const pieces = async function* (...parts: readonly string[]): AsyncGenerator<Buffer> {
    for (const part of parts) yield Buffer.from(part);
  };
  assert.equal(await diffBytes(pieces("abc", "", "def"), pieces("abcd", "ef")), undefined);
  assert.equal(await diffBytes(pieces("abc", "def"), pieces("abcd", "eF")), 5);
  assert.equal(await diffBytes(pieces("abc"), pieces("ab")), 2);
});

test("diffJson() names each field that differs by its place", () => {
  const first = { config: { Env: ["A=1", "B=2"], User: "web" }, os: "linux" };
  const second = { config: { Env: ["A=1", "B=3", "C=4"] }, os: "linux", created: "now" };
  assert.deepEqual(
    diffJson(first, second).map(({ path, field, first: one, second: two }) => [path, field, one, two]),
    [
      ["config.Env[1]", "value", '"B=2"', '"B=3"'],
      ["config.Env[2]", "presence", "absent", '"C=4"'],
      ["config.User", "presence", '"web"', "absent"],
      ["created", "presence", "absent", '"now"'],
    ],
  );
  assert.deepEqual(diffJson(first, { ...first }), []);
});
