import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { canonicalJson, sameJson, type Json } from "./canonical.ts";

const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, 0, -0, 1, "", "a"),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "constructor"), fc.option(tie("json"), { nil: undefined }), { maxKeys: 3 }),
  ),
}));

test("sameJson() holds for exactly those whose canonical JSON is the same", () => {
  fc.assert(fc.property(json, json, (a, b) => sameJson(a, b) === (canonicalJson(a) === canonicalJson(b))));
  fc.assert(fc.property(json, (a) => sameJson(a, JSON.parse(canonicalJson(a)) as Json)));
  assert.ok(sameJson({ a: 1, b: undefined }, { a: 1 }));
  assert.ok(!sameJson({ a: 1, b: undefined }, { a: 1, b: null }));
  assert.ok(!sameJson({ a: [1, 2] }, { a: [2, 1] }));
});
