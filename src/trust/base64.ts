/**
 * Reads base64 as protobuf's JSON does, which is the form of sigstore bundles, and as DSSE asks: the standard or the URL-safe
 * alphabet, padded or not. One text has one alphabet; white space, wrong padding and bits that mean nothing are refused, so that
 * bytes have at most four spellings.
 *
 * @returns undefined when it is none
 * @see Protocol Buffers, "ProtoJSON format", bytes; DSSE protocol, "Encoding"; RFC 4648 sections 3.5, 4 and 5
 */
export function readBase64(text: string): Buffer | undefined {
  const isUrlSafe = /[-_]/.test(text);
  if (isUrlSafe && /[+/]/.test(text)) return undefined;
  const bare = text.endsWith("=") ? text.replace(/={1,2}$/, "") : text;
  if (bare !== text && text.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(bare, isUrlSafe ? "base64url" : "base64");
  // Node leaves out what it does not know; what it reads must be all that was written.
  const again = bytes.toString(isUrlSafe ? "base64url" : "base64").replace(/=+$/, "");
  return again === bare ? bytes : undefined;
}
