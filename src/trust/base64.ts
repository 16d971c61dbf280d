/**
 * Reads base64 as protobuf's JSON does, which is the form of sigstore bundles, and as DSSE asks: the standard or the URL-safe
 * alphabet, padded or not. One text has one alphabet; white space, wrong padding and bits that mean nothing are refused, so that
 * bytes have at most four spellings.
 *
 * @returns undefined when it is none
 * @see Protocol Buffers, "ProtoJSON format", bytes; DSSE protocol, "Encoding"; RFC 4648 sections 3.5, 4 and 5
 */
export function readBase64(text: string): Buffer | undefined {
  const bare = text.endsWith("=") ? text.replace(/={1,2}$/, "") : text;
  if (bare !== text && text.length % 4 !== 0) return undefined;
  const encoding = standard.test(bare) ? "base64" : urlSafe.test(bare) ? "base64url" : undefined;
  if (encoding === undefined) return undefined;
  // What does not fill a byte: the last characters have to be those that their bytes are written with.
  const tail = bare.slice(bare.length - (bare.length % 4));
  if (Buffer.from(tail, encoding).toString(encoding).replace(/=+$/, "") !== tail) return undefined;
  return Buffer.from(bare, encoding);
}

const standard = /^[A-Za-z0-9+/]*$/;
const urlSafe = /^[A-Za-z0-9_-]*$/;
