import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { keyIdOf, keyIdOfPem, readPublicKey } from "./envelope.ts";

const newKey = (namedCurve: string): KeyObject => generateKeyPairSync("ec", { namedCurve }).publicKey;
const pemOf = (key: KeyObject): string => key.export({ type: "spki", format: "pem" });
const asPem = (der: Buffer): string =>
  `-----BEGIN PUBLIC KEY-----\n${der.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END PUBLIC KEY-----\n`;

test("`readPublicKey()` reads a key of ECDSA P-256 as OpenSSL would, and `keyIdOfPem()` names it", () => {
  for (let i = 0; i < 20; i += 1) {
    const key = newKey("P-256");
    const read = readPublicKey(pemOf(key));
    assert.ok(read?.equals(key));
    assert.equal(keyIdOfPem(pemOf(key)), keyIdOf(key));
  }
});

test("`readPublicKey()` reads a point that is written compressed", () => {
  const key = newKey("P-256");
  const der = key.export({ type: "spki", format: "der" });
  const head = Buffer.from("3039301306072a8648ce3d020106082a8648ce3d030107032200", "hex");
  const sign = Buffer.from([2 + ((der.at(-1) ?? 0) & 1)]);
  assert.ok(readPublicKey(asPem(Buffer.concat([head, sign, der.subarray(27, 59)])))?.equals(key));
});

test("`readPublicKey()` refuses other curves, points that are on none, and what is no key", () => {
  assert.equal(readPublicKey(pemOf(newKey("P-384"))), undefined);
  assert.equal(readPublicKey(pemOf(newKey("secp256k1"))), undefined);
  const der = newKey("P-256").export({ type: "spki", format: "der" });
  der.writeUInt8((der.at(-1) ?? 0) ^ 1, der.byteLength - 1);
  assert.equal(readPublicKey(asPem(der)), undefined);
  assert.equal(readPublicKey(asPem(Buffer.concat([der.subarray(0, 27), Buffer.alloc(64)]))), undefined);
  assert.equal(readPublicKey(asPem(der.subarray(0, 90))), undefined);
  assert.equal(readPublicKey("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), undefined);
});
