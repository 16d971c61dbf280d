import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OperatorError } from "../errors/operator-error.ts";
import { compareEntries, toBytePath, type TarEntry } from "./tar-entry.ts";
import { readTar, type TarLimits } from "./tar-read.ts";
import { encodeHeader, tarPieces, writeTar, type TarSource } from "./tar-write.ts";

function entry(path: string, change: Partial<TarEntry> = {}): TarEntry {
  return { path, kind: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0, size: 0, target: "", ...change };
}

function archive(sources: readonly TarSource[]): Buffer {
  return Buffer.concat([...writeTar(sources)].map((piece) => Buffer.from(piece)));
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(bytes: Buffer, size = 700, limits?: TarLimits): Promise<{ entry: TarEntry; bytes: Buffer }[]> {
  const members = [];
  for await (const { entry: found, content } of readTar(pieces(bytes, size), limits)) {
    const parts: Buffer[] = [];
    for await (const part of content()) parts.push(Buffer.from(part));
    members.push({ entry: found, bytes: Buffer.concat(parts) });
  }
  return members;
}

const refusal =
  (pattern: RegExp) =>
  (error: unknown): boolean =>
    error instanceof OperatorError && error.code === "VERIFICATION_FAILED" && pattern.test(error.message);

test("`writeTar()` gives back through readTar() every member as it was, whatever the piece size", async () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 130 }).map((bytes) =>
    Buffer.from(bytes)
      .toString("latin1")
      .replace(/[\0/.]/g, "_"),
  );
  const member = fc.record({
    path: fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
    kind: fc.constantFrom<"file" | "directory" | "symlink">("file", "directory", "symlink"),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    mtime: fc.integer({ min: 0, max: 2 ** 40 }),
    bytes: fc.uint8Array({ maxLength: 1500 }),
    target: name,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(member, { maxLength: 6 }), fc.integer({ min: 1, max: 2000 }), async (members, size) => {
      const sources = members.map(({ bytes, kind, target, ...rest }): TarSource => {
        const common = {
          ...rest,
          kind,
          size: kind === "file" ? bytes.byteLength : 0,
          target: kind === "symlink" ? target : "",
        };
        return kind === "file" ? { entry: common, content: () => [bytes] } : { entry: common };
      });
      const found = await readAll(archive(sources), size);
      assert.deepEqual(
        found.map((item) => item.entry),
        sources.map((item) => item.entry),
      );
      found.forEach((item, i) =>
        assert.deepEqual(item.bytes, members[i]?.kind === "file" ? Buffer.from(members[i].bytes) : Buffer.alloc(0)),
      );
    }),
    { numRuns: 100 },
  );
});

test("`writeTar()` writes the same with small files filled in, extended attributes and long names too", () => {
  const sources = Array.from({ length: 3000 }, (_, number): TarSource => {
    const bytes = Buffer.alloc((number * 37) % 5000, `${number} `);
    const attributes = number % 7 === 0 ? { attributes: { "user.number": String(number) } } : {};
    const path = `${"folder/".repeat(number % 40)}${number}`;
    return { entry: entry(path, { size: bytes.byteLength, ...attributes }), content: () => [bytes] };
  });
  const filled = sources.map(({ entry: one, content }): TarSource => {
    const [bytes = Buffer.alloc(0)] = content?.() ?? [];
    // One byte more, as who reads a file to its end may write.
    const fill = (target: Buffer, at: number) => target.fill(1, at, at + one.size + 1).set(bytes, at);
    return { entry: one, bytes: { read: () => [bytes], fill } };
  });
  const { signal } = new AbortController();
  const pieces: Buffer[] = [];
  for (const piece of tarPieces(filled, signal)) pieces.push(Buffer.from(piece));
  assert.equal(Buffer.compare(Buffer.concat(pieces), archive(sources)), 0);
});

test("`writeTar()` carries extended attributes, and readTar() only those that belong into layers", async () => {
  const attributes = { "security.capability": "\x01\0\0\x02\xff", "user.note": "a=b\n1" };
  const found = await readAll(archive([{ entry: entry("tool", { attributes }) }, { entry: entry("plain") }]));
  assert.deepEqual(
    found.map((item) => item.entry.attributes),
    [attributes, undefined],
  );
  const foreign = archive([{ entry: entry("tool", { attributes: { "trusted.overlay.opaque": "y" } }) }]);
  assert.equal((await readAll(foreign))[0]?.entry.attributes, undefined);
});

test("`writeTar()` ends with exactly two zero blocks", () => {
  const bytes = archive([{ entry: entry("a", { size: 3 }), content: () => [Buffer.from("abc")] }]);
  assert.equal(bytes.byteLength, 512 + 512 + 1024);
  assert.ok(bytes.subarray(1024).every((byte) => byte === 0));
});

test("`writeTar()` refuses content of another length than its entry says", () => {
  assert.throws(() => archive([{ entry: entry("a", { size: 3 }), content: () => [Buffer.from("ab")] }]), RangeError);
  assert.throws(() => archive([{ entry: entry("a", { size: 1 }), content: () => [Buffer.from("ab")] }]), RangeError);
});

test("`encodeHeader()` writes a pax header only where a field does not fit", () => {
  assert.equal(encodeHeader(entry("d/".repeat(60) + "f".repeat(90))).byteLength, 512);
  assert.equal(encodeHeader(entry("f".repeat(101))).byteLength, 512 * 3);
  assert.equal(encodeHeader(entry("a", { uid: 2 ** 21 })).byteLength, 512 * 3);
  assert.equal(encodeHeader(entry("a", { uid: 2 ** 21 - 1 })).byteLength, 512);
});

test("`compareEntries()` puts parents first, whiteouts before siblings, and sorts by bytes", () => {
  const paths = ["b", "a/z", "a", toBytePath("é"), "a/.wh.z", "a/-", "a-b", "~"];
  assert.deepEqual(
    paths
      .map((path) => ({ path }))
      .sort(compareEntries)
      .map(({ path }) => path),
    ["a", "a-b", "a/.wh.z", "a/-", "a/z", "b", "~", toBytePath("é")],
  );
});

test("`readTar()` refuses paths that leave the archive", async () => {
  for (const path of ["../a", "a/../../b", "/etc/passwd"])
    await assert.rejects(readAll(archive([{ entry: entry(path) }])), refusal(/path/));
  await assert.rejects(
    readAll(archive([{ entry: entry("a", { kind: "hardlink", target: "../b" }) }])),
    refusal(/path/),
  );
});

test("`readTar()` refuses an archive that is cut anywhere", async () => {
  const whole = archive([{ entry: entry("a", { size: 900 }), content: () => [Buffer.alloc(900, 1)] }]);
  for (const length of [0, 100, 512, 1000, 1500, 1536, 1700])
    await assert.rejects(readAll(whole.subarray(0, length)), refusal(/ends/), `cut at ${length}`);
});

test("`readTar()` refuses a header whose check sum is wrong", async () => {
  const bytes = archive([{ entry: entry("a") }]);
  bytes[0] = 0x62;
  await assert.rejects(readAll(bytes), refusal(/check sum/));
});

test("`readTar()` refuses more members or bytes than its limits", async () => {
  const bytes = archive([{ entry: entry("a", { size: 9 }), content: () => [Buffer.alloc(9)] }, { entry: entry("b") }]);
  await assert.rejects(readAll(bytes, 700, { entries: 1, bytes: 100 }), refusal(/more than 1 members/));
  await assert.rejects(readAll(bytes, 700, { entries: 9, bytes: 8 }), refusal(/more than 8 bytes/));
});

test("`readTar()` fails on arbitrary bytes with an error for people only", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (bytes) => {
      await assert.rejects(readAll(Buffer.from(bytes)), (error) => error instanceof OperatorError);
    }),
  );
});
