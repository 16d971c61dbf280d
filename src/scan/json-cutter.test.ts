import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { JsonCutError, JsonCutter, type JsonShape } from "./json-cutter.ts";

function cut(
  shape: JsonShape,
  text: string,
  chunkBytes: number,
  mostBytes = 10_000,
): (readonly [string | null, unknown])[] {
  const cutter = new JsonCutter(shape, mostBytes);
  const bytes = Buffer.from(text);
  const pieces: (readonly [string | null, unknown])[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes)
    for (const { key, json } of cutter.push(bytes.subarray(at, at + chunkBytes)))
      pieces.push([key, JSON.parse(json.toString())]);
  cutter.end();
  return pieces;
}

const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true });

test("JsonCutter gives the objects of any JSON text, wherever its chunks end", () => {
  fc.assert(
    fc.property(
      fc.array(object, { maxLength: 5 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(2),
      (all, chunk, indent) => {
        const plain = JSON.parse(JSON.stringify(all)) as unknown[];
        const values = plain.map((value) => [null, value]);
        assert.deepEqual(cut("array", JSON.stringify(all, null, indent), chunk), values);
        assert.deepEqual(
          cut("sequence", all.map((each) => JSON.stringify(each, null, indent)).join("\n"), chunk),
          values,
        );
      },
    ),
  );
});

test("JsonCutter gives the members of one object with their names", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), object, { noNullPrototype: true }),
      fc.integer({ min: 1, max: 40 }),
      (whole, chunk) => {
        const text = JSON.stringify(whole);
        assert.deepEqual(cut("members", text, chunk), Object.entries(JSON.parse(text) as object));
      },
    ),
  );
});

test("JsonCutter refuses what has another shape, does not end, lies too deep or is too long, without holding it", () => {
  for (const [shape, text] of [
    ["array", '[{"a":1}'],
    ["array", '[{"a":1},]'],
    ["array", '[{"a":1} {"b":2}]'],
    ["array", '[{"a":1}]]'],
    ["array", "[1]"],
    ["array", "{}"],
    ["sequence", '{"a":1},{"b":2}'],
    ["sequence", "{"],
    ["members", '{"a":1}'],
    ["members", '{"a"{}}'],
    ["members", '{"\\q":{}}'],
    ["members", '{"a":{}'],
    ["sequence", `${'{"a":'.repeat(300)}1${"}".repeat(300)}`],
    ["sequence", `{"a":"${"x".repeat(20_000)}"}`],
    ["members", `{"${"x".repeat(2_000)}":{}}`],
    ["sequence", '{"a":\0}'],
  ] as const)
    for (const chunk of [1, 7, 100_000]) assert.throws(() => cut(shape, text, chunk), JsonCutError, text.slice(0, 40));
});
