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
  return idOfDer(Buffer.from(bodyOf(pem), "base64"));
}

/** What stands between the lines that begin and end a PEM. */
function bodyOf(pem: string): string {
  return pem.replace(/-----[A-Z ]+-----|\n/g, "");
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
    const point = pointOf(bodyOf(pem));
    // As it is mostly written: the library takes several times as long to find out what else it might be.
    if (point !== undefined) return createPublicKey({ key: { kty: "EC", crv: "P-256", ...point }, format: "jwk" });
    const key = createPublicKey(pem);
    const isP256 = key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
    return isP256 ? key : undefined;
  } catch {
    return undefined;
  }
}

/** What a SubjectPublicKeyInfo of ECDSA on P-256 begins with, before an uncompressed point. @see RFC 5480, section 2 */
const p256Head = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex");
const coordinateBytes = 32;

/** The point of a key in that form, as JSON Web Keys have it. @param body base64 of the DER */
function pointOf(body: string): { readonly x: string; readonly y: string } | undefined {
  const der = Buffer.from(body, "base64");
  const isUsual =
    der.byteLength === p256Head.byteLength + 2 * coordinateBytes &&
    der.subarray(0, p256Head.byteLength).equals(p256Head) &&
    der.toString("base64") === body;
  if (!isUsual) return undefined;
  const from = p256Head.byteLength;
  const coordinate = (at: number): string => der.toString("base64url", at, at + coordinateBytes);
  return { x: coordinate(from), y: coordinate(from + coordinateBytes) };
}
