import { isUtf8 } from "node:buffer";
import { canonicalJson, digestHex, isDigest, type Digest, type Json } from "../model/canonical.ts";

/** What is said about one artifact: an in-toto statement with one subject. */
export interface Statement {
  /** Digest of the artifact's manifest. */
  readonly subject: Digest;
  /** What kind of statement it is, a URI. */
  readonly predicateType: string;
  readonly predicate: { readonly [key: string]: Json | undefined };
}

/** A statement whose predicate was written already: a long one is put together of texts that are at hand. */
export interface WrittenStatement extends Omit<Statement, "predicate"> {
  /** The predicate as canonical JSON. */
  readonly text: string;
}

/** Media type of statements: DSSE's `payloadType`. */
export const statementType = "application/vnd.in-toto+json";
const inTotoV1 = "https://in-toto.io/Statement/v1";

/** Longest statement that is signed or believed, in bytes: the SBOM of a very large image has a few MB. */
export const mostStatementBytes = 16 * 2 ** 20;

/** Kinds of statements that Bronze makes. */
export const predicateTypes = {
  /** An artifact is signed, and no more is said: what `cosign verify` looks for. */
  signature: "https://sigstore.dev/cosign/sign/v1",
  provenance: "https://slsa.dev/provenance/v1",
  sbom: "https://cyclonedx.org/bom",
  testResult: "https://in-toto.io/attestation/test-result/v0.1",
} as const;

/** The plain signature of an artifact: a statement that says nothing more. */
export function signatureOf(artifact: Digest): Statement {
  return { subject: artifact, predicateType: predicateTypes.signature, predicate: {} };
}

/** What people call a kind of statement. */
export function kindName(predicateType: string): string {
  switch (predicateType) {
    case predicateTypes.signature:
      return "signature";
    case predicateTypes.provenance:
      return "provenance";
    case predicateTypes.sbom:
      return "bill of materials";
    default:
      return `statement of the kind ${predicateType}`;
  }
}

/**
 * The one serialiser of statements: canonical JSON, so that equal statements have equal bytes.
 *
 * @see in-toto attestation framework, Statement v1
 */
export function serialiseStatement(statement: Statement | WrittenStatement): Buffer {
  const { subject, predicateType } = statement;
  const said = "text" in statement ? statement.text : canonicalJson(statement.predicate);
  const [type, kind, about] = [inTotoV1, predicateType, [{ digest: { sha256: digestHex(subject) } }]].map(
    canonicalJson,
  );
  return Buffer.from(`{"_type":${type},"predicate":${said},"predicateType":${kind},"subject":${about}}`);
}

/**
 * Reads a statement strictly: version 1, exactly one subject, which is named by sha256 and nothing else.
 *
 * @returns in words for people what is wrong with it, where it cannot be believed
 */
export function readStatement(bytes: Uint8Array): Statement | string {
  if (bytes.byteLength > mostStatementBytes)
    return `its statement has ${bytes.byteLength} bytes, at most ${mostStatementBytes} are read`;
  const value = asObject(parseJson(bytes));
  if (value === undefined) return "its statement is no JSON object";
  const { _type: type, subject: subjects, predicateType, predicate: said } = value;
  if (type !== inTotoV1) return "its statement is not in-toto's version 1";
  const extra = Object.keys(value).find((key) => !["_type", "subject", "predicateType", "predicate"].includes(key));
  if (extra !== undefined) return `its statement has the unknown field "${extra.slice(0, 40)}"`;
  if (!Array.isArray(subjects) || subjects.length === 0) return "its statement has no subject";
  if (subjects.length > 1) return `its statement has ${subjects.length} subjects, one is allowed`;
  const digests = asObject(asObject(subjects[0])?.["digest"]);
  const [[algorithm, hex] = ["", ""], second] = Object.entries(digests ?? {});
  const subject = `sha256:${String(hex)}`;
  if (algorithm !== "sha256" || second !== undefined || !isDigest(subject))
    return "its statement's subject is not named by sha256 alone";
  if (typeof predicateType !== "string" || !isPredicateType(predicateType))
    return "its statement does not say of what kind it is";
  const predicate = asObject(said);
  if (predicate === undefined) return "its statement says nothing";
  return { subject, predicateType, predicate: predicate as Statement["predicate"] };
}

/** Whether a text can be the kind of a statement: an absolute URI of at most 300 printable characters. */
export function isPredicateType(text: string): boolean {
  return text.length <= 300 && /^[a-z][a-z0-9+.-]*:[!-~]+$/i.test(text);
}

/** @returns undefined when it is no JSON in UTF-8 */
export function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) return undefined;
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}

export function asObject(value: unknown): { readonly [key: string]: unknown } | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: unknown })
    : undefined;
}
