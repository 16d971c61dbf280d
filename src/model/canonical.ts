import { hash } from "node:crypto";

/** What canonical JSON can carry. `undefined` members of objects are left out. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * Serialises a value as canonical JSON: keys sorted by UTF-16 code units, no white space, numbers as ECMAScript prints
 * them.
 *
 * @throws {TypeError} for NaN, infinities and lone surrogates, which have no canonical form
 * @see RFC 8785 (JSON Canonicalization Scheme)
 */
export function canonicalJson(value: Json): string {
  if (typeof value === "string") return canonicalText(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`canonical JSON cannot carry ${value}`);
    return JSON.stringify(value);
  }
  // One text that grows: quicker than to join a list of its parts.
  let inside = "";
  if (Array.isArray(value)) {
    for (const item of value as readonly Json[])
      inside += inside === "" ? canonicalJson(item) : `,${canonicalJson(item)}`;
    return `[${inside}]`;
  }
  const object = value as Members;
  for (const key of Object.keys(object).sort()) {
    const member = object[key];
    if (member === undefined) continue;
    inside += `${inside === "" ? "" : ","}${canonicalText(key)}:${canonicalJson(member)}`;
  }
  return `{${inside}}`;
}

function canonicalText(text: string): string {
  if (!text.isWellFormed()) throw new TypeError("canonical JSON cannot carry a lone surrogate");
  return JSON.stringify(text);
}

/** Whether two values have the same canonical JSON, without making it. */
export function sameJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b))
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, index) => sameJson(item, b[index]))
    );
  const [left, right] = [a as Members, b as Members];
  return countOf(left) === countOf(right) && hasAllOf(left, right);
}

interface Members {
  readonly [key: string]: Json | undefined;
}

/** How many members are not left out. */
function countOf(object: Members): number {
  let count = 0;
  for (const key of Object.keys(object)) if (object[key] !== undefined) count += 1;
  return count;
}

function hasAllOf(some: Members, others: Members): boolean {
  for (const key of Object.keys(others)) {
    const member = others[key];
    if (member === undefined) continue;
    const own = Object.hasOwn(some, key) ? some[key] : undefined;
    if (own === undefined || !sameJson(own, member)) return false;
  }
  return true;
}

/** sha256 of bytes or UTF-8 text, as `sha256:<64 hex digits>`. */
export function sha256(data: string | Uint8Array): Digest {
  return `sha256:${hash("sha256", data)}` as Digest;
}

declare const digestBrand: unique symbol;
/** A content digest, `sha256:<64 lower-case hex digits>`; got from {@link parseDigest} or {@link sha256} only. */
export type Digest = string & { readonly [digestBrand]: true };

const digestPattern = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return digestPattern.test(text);
}

/** The 64 hex digits of a digest: a safe file name. */
export function digestHex(digest: Digest): string {
  return digest.slice("sha256:".length);
}
