import { createPublicKey, hash, sign, verify, type KeyObject } from "node:crypto";

declare const keyIdBrand: unique symbol;
/** Names a key: sha256 of its DER SubjectPublicKeyInfo, 64 lower-case hex digits. */
export type KeyId = string & { readonly [keyIdBrand]: true };

export function isKeyId(text: string): text is KeyId {
  return /^[0-9a-f]{64}$/.test(text);
}

/** The id of a public key, or of the public half of a private one. */
export function keyIdOf(key: KeyObject): KeyId {
  const half = key.type === "private" ? createPublicKey(key) : key;
  return idOfDer(half.export({ type: "spki", format: "der" }));
}

/** The same of a key in PEM, as it is written there. */
export function keyIdOfPem(pem: string): KeyId {
  return idOfDer(Buffer.from(pem.replace(/-----[A-Z ]+-----|\n/g, ""), "base64"));
}

function idOfDer(der: Uint8Array): KeyId {
  return hash("sha256", der) as KeyId;
}

/**
 * What is signed in place of a payload, so that no payload passes for one of another type.
 *
 * @see DSSE protocol, "Signature Definition" (pre-authentication encoding)
 */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.byteLength} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

/** ECDSA over sha256 in ASN.1, as `openssl dgst -sha256 -sign` makes it; random each time. */
export function signPayload(key: KeyObject, payloadType: string, payload: Uint8Array): Buffer {
  return sign("sha256", preAuthenticationEncoding(payloadType, payload), key);
}

export function verifyPayload(
  key: KeyObject,
  {
    payloadType,
    payload,
    signature,
  }: { readonly payloadType: string; readonly payload: Uint8Array; readonly signature: Uint8Array },
): boolean {
  return verify("sha256", preAuthenticationEncoding(payloadType, payload), key, signature);
}

/**
 * Reads a public key in PEM.
 *
 * @returns undefined unless it is ECDSA's on the curve P-256
 */
export function readPublicKey(pem: string): KeyObject | undefined {
  if (!/^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+\n-----END PUBLIC KEY-----\n?$/.test(pem)) return undefined;
  try {
    const key = createPublicKey(pem);
    const isP256 = key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
    return isP256 ? key : undefined;
  } catch {
    return undefined;
  }
}
