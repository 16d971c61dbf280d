import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readBase64 } from "./base64.ts";

test("`readBase64()` reads both alphabets, padded or not", () => {
  const bytes = Buffer.from([0xfb, 0xff, 0xbf, 0x3e]);
  for (const text of ["+/+/Pg==", "+/+/Pg", "-_-_Pg==", "-_-_Pg"]) assert.deepEqual(readBase64(text), bytes, text);
  assert.deepEqual(readBase64(""), Buffer.alloc(0));
});

test("`readBase64()` refuses what is no base64 of one alphabet, and bits that mean nothing", () => {
  for (const text of ["+_+/Pg==", "Pg=", "Pg===", "=", "Ph==x", "Pg==\n", "P g=", "P", "Pn==", "Pn", "Pg==Pg=="])
    assert.equal(readBase64(text), undefined, JSON.stringify(text));
});

test("`readBase64()` reads what is written, whatever the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const buffer = Buffer.from(bytes);
      for (const text of [buffer.toString("base64"), buffer.toString("base64url")])
        assert.deepEqual(readBase64(text), buffer);
    }),
  );
});
