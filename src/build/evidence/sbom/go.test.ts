import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { test } from "node:test";
import { readGoProgram, type RandomBytes } from "./go.ts";

function bytesOf(data: Buffer): RandomBytes {
  return { size: data.byteLength, read: (offset, length) => data.subarray(offset, offset + length) };
}

function counted(text: Buffer): Buffer {
  const digits: number[] = [];
  for (let left = text.byteLength; ; left >>>= 7) {
    digits.push(left > 0x7f ? (left & 0x7f) | 0x80 : left);
    if (left <= 0x7f) return Buffer.concat([Buffer.from(digits), text]);
  }
}

/** A program with one segment of data, in which Go's build information begins. */
function program(go: string, modules: string, { flags = 2 } = {}): Buffer {
  const elf = Buffer.alloc(64);
  elf.write("\x7fELF\x02\x01\x01", "latin1");
  elf.writeBigUInt64LE(64n, 32);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  const head = Buffer.alloc(32);
  head.write("\xff Go buildinf:\x08", "latin1");
  head[15] = flags;
  const sentinel = Buffer.alloc(16, 0x30);
  const text = Buffer.concat([sentinel, Buffer.from(modules), Buffer.from("\n"), sentinel]);
  const info = Buffer.concat([head, counted(Buffer.from(go)), counted(text)]);
  const segment = Buffer.alloc(56);
  segment.writeUInt32LE(1, 0);
  segment.writeUInt32LE(6, 4);
  segment.writeBigUInt64LE(128n, 8);
  segment.writeBigUInt64LE(BigInt(info.byteLength), 32);
  return Buffer.concat([elf, segment, Buffer.alloc(8), info]);
}

const modules = [
  "path\texample.org/shop/cmd",
  "mod\texample.org/shop\t(devel)\t",
  "dep\tgolang.org/x/net\tv0.17.0\th1:x",
  "dep\tgolang.org/x/text\tv0.13.0\th1:y",
  "=>\texample.org/text\tv0.13.1\th1:z",
  "build\t-buildmode=exe",
].join("\n");

test("`readGoProgram()` lists modules, what stands in place of one, and the Go that made it", () => {
  const rows = readGoProgram(bytesOf(program("go1.22.3", modules)));
  assert.deepEqual(
    rows?.map(({ name, version }) => `${name} ${version}`),
    ["example.org/shop ", "golang.org/x/net v0.17.0", "example.org/text v0.13.1", "stdlib 1.22.3"],
  );
});

test("`readGoProgram()` reads a program of a Debian package", () => {
  const file = openSync("/usr/sbin/runc", "r");
  try {
    const rows = readGoProgram({
      size: fstatSync(file).size,
      read(offset, length) {
        const bytes = Buffer.alloc(length);
        return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
      },
    });
    const standard = rows?.find(({ name }) => name === "stdlib");
    assert.match(standard?.version ?? "", /^1\.\d+/);
  } finally {
    closeSync(file);
  }
});

test("`readGoProgram()` finds nothing in what is no program, cut off, older, or lies about lengths", () => {
  const good = program("go1.22.3", modules);
  for (let length = 0; length < good.byteLength; length += 7)
    assert.equal(readGoProgram(bytesOf(good.subarray(0, length))), undefined, String(length));
  assert.equal(readGoProgram(bytesOf(program("go1.17", modules, { flags: 0 }))), undefined);
  const lying = Buffer.from(good);
  lying.writeUInt32LE(0xffffffff, 128 + 32);
  assert.equal(readGoProgram(bytesOf(lying)), undefined);
  for (const at of [8, 32, 40, 54, 56, 58, 60, 62]) {
    const odd = Buffer.from(good);
    odd.fill(0xff, at, at + 2);
    assert.doesNotThrow(() => readGoProgram(bytesOf(odd)), String(at));
  }
  assert.equal(readGoProgram(bytesOf(Buffer.alloc(5000))), undefined);
});
