import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ResponseReader } from "./http-response.ts";

const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
const counted = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";
const open = "HTTP/1.0 200 OK\r\n\r\nhello world";

function readAll(pieces: readonly Buffer[]): { text: string; whole: boolean; status: number } {
  const reader = new ResponseReader();
  const parts = pieces.flatMap((piece) => reader.push(piece));
  return { text: Buffer.concat(parts).toString(), whole: reader.end(), status: reader.status };
}

for (const [framing, text] of [
  ["chunks", chunked],
  ["a length", counted],
  ["the connection's end", open],
] as const) {
  test(`ResponseReader reads a body framed by ${framing}, wherever the pieces are cut`, () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: text.length })), (cuts) => {
        const bytes = Buffer.from(text);
        const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const pieces = edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
        assert.deepEqual(readAll(pieces), { text: "hello world", whole: true, status: 200 });
      }),
    );
  });
}

test("ResponseReader.end() tells a response that was cut off from one that is whole", () => {
  for (const text of [chunked, counted]) {
    for (let length = 0; length < text.length - 4; length += 1) {
      assert.equal(
        readAll([Buffer.from(text.slice(0, length))]).whole,
        false,
        `${length} bytes of ${JSON.stringify(text)}`,
      );
    }
  }
});

test("ResponseReader refuses what is not HTTP, and a head without end", () => {
  assert.throws(() => new ResponseReader().push(Buffer.from("SSH-2.0-x\r\n\r\n")), /not HTTP/);
  assert.throws(() => new ResponseReader().push(Buffer.alloc(70_000, "x")), /longer than 64 KiB/);
  assert.throws(
    () => new ResponseReader().push(Buffer.from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")),
    /not a number/,
  );
  for (const length of ["-1", "1e3", "5, 5", ""])
    assert.throws(
      () => new ResponseReader().push(Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\nx`)),
      /not a number/,
    );
});
