import { canonicalJson } from "../model/canonical.ts";
import { readBase64 } from "./base64.ts";
import { isKeyId, type KeyId } from "./envelope.ts";
import { asObject, mostStatementBytes, parseJson, statementType } from "./statement.ts";

/** Media type of bundles, and `artifactType` of the manifests that carry them. */
export const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";

/** Longest bundle that is read, in bytes: the longest statement in base64 and what stands around it. */
export const mostBundleBytes = Math.ceil(mostStatementBytes / 3) * 4 + 64 * 1024;

/** A signed statement, as a bundle carries it. */
export interface Bundle {
  /** Which key is said to have signed; proves nothing. Null: not one of ours. */
  readonly keyId: KeyId | null;
  /** The statement's bytes. */
  readonly payload: Buffer;
  readonly signature: Buffer;
}

/** The one serialiser of bundles: one line, so that plain tools find its parts. */
export function serialiseBundle(keyId: KeyId, payload: Uint8Array, signature: Uint8Array): Buffer {
  const text = canonicalJson({
    mediaType: bundleType,
    verificationMaterial: { publicKey: { hint: keyId } },
    dsseEnvelope: {
      payload: "",
      payloadType: statementType,
      signatures: [{ sig: base64Of(signature) }],
    },
  });
  // Base64 needs no escapes: a long payload is put in as it is.
  const at = text.indexOf(emptyPayload) + emptyPayload.length - 1;
  const encoded = base64Of(payload);
  const bytes = Buffer.allocUnsafeSlow(text.length + encoded.length);
  bytes.write(text.slice(0, at), 0, "latin1");
  bytes.write(encoded, at, "latin1");
  bytes.write(text.slice(at), at + encoded.length, "latin1");
  return bytes;
}

const emptyPayload = '"payload":""';

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/**
 * Reads a bundle of version 0.3 with a DSSE envelope, signed by one plain key. Fields that the format does not have are refused,
 * as the readers of protobuf's JSON do; what a transparency log or a time stamp authority would say is not looked at.
 *
 * @returns in words for people what is wrong with it, where it cannot be used
 * @see sigstore protobuf-specs, sigstore_bundle.proto
 */
export function readBundle(bytes: Uint8Array): Bundle | string {
  if (bytes.byteLength > mostBundleBytes)
    return `it has ${bytes.byteLength} bytes, at most ${mostBundleBytes} are read`;
  if (bytes.byteLength === 0) return "its bytes are lost or were changed";
  const bundle = asObject(parseJson(bytes));
  if (bundle === undefined) return "it is no JSON object";
  if (bundle["mediaType"] !== bundleType) return "it is no sigstore bundle of version 0.3";
  const material = asObject(bundle["verificationMaterial"]);
  const envelope = asObject(bundle["dsseEnvelope"]);
  const unknown =
    unknownField(bundle, ["mediaType", "verificationMaterial", "dsseEnvelope"]) ??
    unknownField(material, ["publicKey", "tlogEntries", "timestampVerificationData"]) ??
    unknownField(envelope, ["payload", "payloadType", "signatures"]);
  if (unknown !== undefined) return `it has the unknown field "${unknown.slice(0, 40)}"`;
  const publicKey = asObject(material?.["publicKey"]);
  if (publicKey === undefined || unknownField(publicKey, ["hint"]) !== undefined)
    return "it is not signed by a plain key";
  if (envelope === undefined) return "it has no DSSE envelope";
  if (envelope["payloadType"] !== statementType) return "what is signed in it is no in-toto statement";
  const { payload, signatures } = envelope;
  if (!Array.isArray(signatures) || signatures.length !== 1) return "it has not exactly one signature";
  const first = asObject(signatures[0]);
  const sig = first?.["sig"];
  const extra = unknownField(first, ["sig", "keyid"]);
  if (extra !== undefined || typeof sig !== "string" || sig.length > 400) return "its signature is malformed";
  const signature = readBase64(sig);
  const statement = typeof payload === "string" ? readBase64(payload) : undefined;
  if (signature === undefined || statement === undefined) return "its payload or signature is no base64";
  const hint = publicKey["hint"];
  return { keyId: typeof hint === "string" && isKeyId(hint) ? hint : null, payload: statement, signature };
}

function unknownField(
  object: { readonly [key: string]: unknown } | undefined,
  known: readonly string[],
): string | undefined {
  return Object.keys(object ?? {}).find((key) => !known.includes(key));
}
