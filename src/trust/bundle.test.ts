import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import { mostBundleBytes, readBundle, serialiseBundle } from "./bundle.ts";
import { keyIdOf, preAuthenticationEncoding, signPayload, verifyPayload } from "./envelope.ts";
import { bundleOf, newKey, problemOf, said } from "./fixture.suite.ts";
import { mostStatementBytes, serialiseStatement, statementType } from "./statement.ts";

type Parsed = {
  mediaType: string;
  verificationMaterial: Record<string, unknown>;
  dsseEnvelope: { payload: string; payloadType: string; signatures: Record<string, unknown>[] };
} & Record<string, unknown>;

const key = newKey();
const payload = serialiseStatement(said);

function changed(change: (bundle: Parsed) => void): Buffer {
  const bundle = JSON.parse(bundleOf(key, said).toString()) as Parsed;
  change(bundle);
  return Buffer.from(JSON.stringify(bundle));
}

test("`preAuthenticationEncoding()` is that of the DSSE protocol's own example", () => {
  const encoded = preAuthenticationEncoding("http://example.com/HelloWorld", Buffer.from("hello world"));
  assert.equal(encoded.toString(), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
});

test("`readBundle()` reads what `serialiseBundle()` writes", () => {
  const signature = signPayload(key, statementType, payload);
  const bundle = readBundle(serialiseBundle(keyIdOf(key), payload, signature));
  assert.deepEqual(bundle, { keyId: keyIdOf(key), payload, signature });
});

test("`readBundle()` takes payload and signature in both alphabets of base64, padded or not", () => {
  const ways: ((text: string) => string)[] = [
    (text) => text,
    (text) => text.replace(/=+$/, ""),
    (text) => text.replaceAll("+", "-").replaceAll("/", "_"),
    (text) => Buffer.from(text, "base64").toString("base64url"),
  ];
  for (const way of ways) {
    const bundle = readBundle(
      changed(({ dsseEnvelope }) => {
        dsseEnvelope.payload = way(dsseEnvelope.payload);
        const first = dsseEnvelope.signatures[0] as { sig: string };
        first.sig = way(first.sig);
      }),
    );
    assert.ok(typeof bundle !== "string", problemOf(bundle));
    assert.deepEqual(bundle.payload, payload);
    assert.ok(verifyPayload(createPublicKey(key), { payloadType: statementType, ...bundle }));
  }
});

const refused: readonly (readonly [string, (bundle: Parsed) => void, RegExp])[] = [
  ["another version", (it) => (it.mediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1"), /version 0.3/],
  ["an unknown field", (it) => (it["extra"] = 1), /unknown field "extra"/],
  ["an unknown field of the envelope", (it) => Object.assign(it.dsseEnvelope, { x: 1 }), /unknown field "x"/],
  [
    "a certificate in place of a key",
    (it) => (it.verificationMaterial = { certificate: {} }),
    /unknown field|plain key/,
  ],
  ["another type of payload", (it) => (it.dsseEnvelope.payloadType = "text/plain"), /no in-toto statement/],
  ["no signature", (it) => (it.dsseEnvelope.signatures = []), /exactly one signature/],
  ["two signatures", (it) => it.dsseEnvelope.signatures.push({ sig: "" }), /exactly one signature/],
  ["both alphabets in one text", (it) => (it.dsseEnvelope.payload = "+_+/"), /no base64/],
  ["a payload with white space", (it) => (it.dsseEnvelope.payload += "\n"), /no base64/],
  ["a signature of a megabyte", (it) => (it.dsseEnvelope.signatures = [{ sig: "A".repeat(2 ** 20) }]), /malformed/],
];

for (const [what, change, words] of refused)
  test(`\`readBundle()\` refuses ${what}`, () => {
    assert.match(problemOf(readBundle(changed(change))), words);
  });

test("`readBundle()` refuses a bundle that is larger than any statement, and one that is lost", () => {
  assert.match(problemOf(readBundle(Buffer.alloc(mostBundleBytes + 1))), /at most/);
  assert.match(problemOf(readBundle(Buffer.alloc(0))), /lost or were changed/);
});

test("`readBundle()` takes the longest statement", () => {
  const longest = Buffer.alloc(mostStatementBytes, 0x20);
  const bundle = readBundle(serialiseBundle(keyIdOf(key), longest, Buffer.alloc(72)));
  assert.ok(typeof bundle !== "string", problemOf(bundle));
});
