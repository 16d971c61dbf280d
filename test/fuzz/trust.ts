import assert from "node:assert/strict";
import fc from "fast-check";
import { sha256 } from "../../src/model/canonical.ts";
import { bundleType } from "../../src/trust/bundle.ts";
import { artifact, bundleOf, kind, LogWriter, manifest, newKey, said } from "../../src/trust/fixture.suite.ts";
import { readKeyLog } from "../../src/trust/key-log.ts";
import { serialiseStatement } from "../../src/trust/statement.ts";
import { verifyArtifact } from "../../src/trust/verify.ts";
import type { FuzzTarget } from "./target.ts";

const key = newKey();
const writer = new LogWriter().bring(key);
const { trust } = writer;
const good = bundleOf(key, said);

const value = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<unknown>(null, [], {}, "", "AA==", "-_", -1, "__proto__") },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
);
const payload = fc.oneof(
  fc.constant(serialiseStatement(said).toString("base64")),
  fc.constant(serialiseStatement({ ...said, predicate: { says: "that" } }).toString("base64url")),
  fc.json().map((text) => Buffer.from(text).toString("base64")),
  value,
);
/** Bundles that nobody has signed: of a good one at least the payload or the signature is another. */
const bundle = fc.record(
  {
    mediaType: fc.oneof({ weight: 9, arbitrary: fc.constant<unknown>(bundleType) }, { weight: 1, arbitrary: value }),
    verificationMaterial: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom<unknown>({ publicKey: {} }, { publicKey: { hint: "x" } }) },
      { weight: 1, arbitrary: value },
    ),
    dsseEnvelope: fc.record(
      {
        payload,
        payloadType: fc.oneof(
          { weight: 9, arbitrary: fc.constant<unknown>("application/vnd.in-toto+json") },
          { weight: 1, arbitrary: value },
        ),
        signatures: fc.oneof(
          fc.constant<unknown>([{ sig: "MEQCIA1ZLstVAAAA" }]),
          fc.array(fc.record({ sig: value, keyid: value }, { requiredKeys: [] }), { maxLength: 3 }),
          value,
        ),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

/** Whatever a bundle holds, it is refused in words; what the key has signed is found beside it. */
export const bundleTarget: FuzzTarget = {
  name: "bundle",
  weight: 2,
  property: fc.property(
    fc.oneof(
      { weight: 8, arbitrary: bundle.map((one) => Buffer.from(JSON.stringify(one))) },
      { weight: 1, arbitrary: fc.json().map((text) => Buffer.from(text)) },
      { weight: 1, arbitrary: fc.uint8Array().map((bytes) => Buffer.from(bytes)) },
    ),
    (bytes) => {
      const judge = (...bundles: readonly Buffer[]): ReturnType<typeof verifyArtifact> =>
        verifyArtifact({
          digest: artifact,
          manifest,
          bundles: bundles.map((one) => ({ manifest: sha256(one), bytes: one })),
          trust,
          policy: { required: [kind] },
          nowMs: Date.UTC(2026, 5),
          all: true,
        });
      const { ok, bundles } = judge(bytes);
      assert.equal(ok, false);
      assert.ok((bundles[0]?.problem ?? "").length > 0);
      assert.equal(judge(bytes, good).ok, true);
    },
  ),
};

/** Whatever stands in a key log behind a good line, it is refused in words, and names the entry. */
export const keyLogTarget: FuzzTarget = {
  name: "key-log",
  weight: 2,
  property: fc.property(
    fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .record({
          entry: fc.record(
            {
              kind: fc.constantFrom("created", "rotated", "revoked", "__proto__"),
              sequence: fc.constantFrom<unknown>(1, 0, -1, "1"),
              previous: fc.constantFrom<unknown>(sha256(writer.lines[0] ?? ""), null, "x"),
              at: fc.constantFrom<unknown>("2026-01-01T00:00:00.000Z", "2026-13-01T00:00:00.000Z", 5),
              stands: fc.constantFrom<unknown>(null, sha256("")),
              key: fc.constantFrom("0".repeat(64), "x"),
              reason: value,
            },
            { requiredKeys: [] },
          ),
          signatures: fc.oneof(fc.constant<unknown>([{ keyid: "0".repeat(64), sig: "AA==" }]), value),
        })
        .map((line) => JSON.stringify(line)),
    ),
    (line) => {
      const log = readKeyLog(`${writer.text}${line.replaceAll("\n", "")}\n`);
      assert.equal(typeof log, "string");
      assert.match(log as string, /^entry 1: /);
    },
  ),
};
