import type { KeyObject } from "node:crypto";
import { canonicalJson, isDigest, sha256, type Digest, type Json } from "../model/canonical.ts";
import { readBase64 } from "./base64.ts";
import { isKeyId, keyIdOf, keyIdOfPem, readPublicKey, signPayload, verifyPayload, type KeyId } from "./envelope.ts";
import { asObject, parseJson } from "./statement.ts";

/** What DSSE calls the payload's type of an entry. */
export const entryType = "application/vnd.bronze.key-log-entry+json";

/** A key comes to be: the first one, or in the place of the one before. */
interface KeyEntry {
  readonly kind: "created" | "rotated";
  readonly key: KeyId;
  /** PEM. */
  readonly publicKey: string;
  /** ISO 8601, UTC: its signatures are believed from then on. */
  readonly notBefore: string;
  /** From then on only those signatures are believed that are listed. Null: for ever. */
  readonly notAfter: string | null;
}

interface RevokedEntry {
  readonly kind: "revoked";
  readonly key: KeyId;
  readonly reason: string;
}

/** What happened to keys, in the order in which it happened. */
export type KeyLogEntry = (KeyEntry | RevokedEntry) & {
  /** From 0, without gaps. */
  readonly sequence: number;
  /** ISO 8601, UTC. What the machine's clock said; the order is that of sequence. */
  readonly at: string;
  /** Digest of the line before, without its line end; null in the first. */
  readonly previous: Digest | null;
  /**
   * Digest of the list of statements that the key signed and that stand: in `rotated` about the key before, in `revoked` about
   * the revoked one. Null in `created`.
   */
  readonly stands: Digest | null;
};

/** A key and what became of it. */
export interface LoggedKey {
  readonly id: KeyId;
  readonly publicKey: string;
  readonly key: KeyObject;
  readonly createdAt: string;
  readonly notBefore: string;
  readonly notAfter: string | null;
  readonly state: "active" | "rotated" | "revoked";
  /** When it was rotated or revoked, whichever came last; null: never. */
  readonly endedAt: string | null;
  /** Why it was revoked; null where it was not. */
  readonly reason: string | null;
  /** Digest of the list of what stands of it, as the last entry about it says; null: none says. */
  readonly stands: Digest | null;
}

export interface KeyLog {
  readonly entries: readonly KeyLogEntry[];
  /** In the order in which they were made. */
  readonly keys: readonly LoggedKey[];
  /** The one that signs now; null in an empty log. */
  readonly active: LoggedKey | null;
  /** Digest of the last line; null in an empty log. Names the log: whoever has it knows all that is before. */
  readonly head: Digest | null;
}

export const emptyKeyLog: KeyLog = { entries: [], keys: [], active: null, head: null };

const mostBytes = 4 * 2 ** 20;

/** A line of the log: an entry with signatures of the key that signed until then and, where it brings a key, of that key. */
export function signEntry(entry: KeyLogEntry, signers: readonly KeyObject[]): string {
  const payload = Buffer.from(canonicalJson(entry as unknown as Json));
  const signatures = signers.map((key) => ({
    keyid: keyIdOf(key),
    sig: signPayload(key, entryType, payload).toString("base64"),
  }));
  return canonicalJson({ entry: entry as unknown as Json, signatures });
}

/**
 * Reads a key log and verifies all of it: sequence, chain of hashes, signatures.
 *
 * @param text lines of {@link signEntry}, each with its line end
 * @returns in words for people what does not hold, and in which entry
 */
export function readKeyLog(text: string): KeyLog | string {
  if (text.length > mostBytes) return `it has more than ${mostBytes} bytes`;
  if (text !== "" && !text.endsWith("\n")) return "its last line is not whole";
  let log: KeyLog = emptyKeyLog;
  for (const line of text.split("\n").slice(0, -1)) {
    const next = takeEntry(log, line);
    if (typeof next === "string") return `entry ${log.entries.length}: ${next}`;
    log = next;
  }
  return log;
}

function takeEntry(log: KeyLog, line: string): KeyLog | string {
  const parsed = asObject(parseJson(Buffer.from(line)));
  const entry = readEntry(asObject(parsed?.["entry"]));
  const signatures = readSignatures(parsed?.["signatures"]);
  if (entry === undefined || signatures === undefined) return "it is malformed";
  // What was signed is the canonical form, so there may be no other one.
  if (canonicalJson({ entry: entry as unknown as Json, signatures }) !== line)
    return "it is not in the form in which entries are written";
  if (entry.sequence !== log.entries.length)
    return `it says that it is entry ${entry.sequence}: one is missing or moved`;
  if (entry.previous !== log.head) return "it does not follow from the entry before: one was changed, removed or moved";
  const isFirst = log.active === null;
  if (isFirst !== (entry.kind === "created")) return "a log begins with the first key, and has only one first key";
  const keys = endedBy(log, entry);
  if (typeof keys === "string") return keys;
  const made = madeBy(entry);
  if (typeof made === "string") return made;
  if (made !== null && log.keys.some(({ id }) => id === made.id)) return "it brings a key that was there before";
  const wanted = [log.active, made].filter((key) => key !== null);
  const problem = signedBy(entry, signatures, wanted);
  if (problem !== undefined) return problem;
  return {
    entries: [...log.entries, entry],
    keys: made === null ? keys : [...keys, made],
    active: made ?? log.active,
    head: sha256(line),
  };
}

/** The keys as they are after an entry, without the one that it brings. */
function endedBy(log: KeyLog, entry: KeyLogEntry): readonly LoggedKey[] | string {
  const replace = (id: KeyId, change: Partial<LoggedKey>): readonly LoggedKey[] =>
    log.keys.map((key) => (key.id === id ? { ...key, ...change, endedAt: entry.at, stands: entry.stands } : key));
  if (entry.kind === "created") return entry.stands === null ? log.keys : "the first key cannot say what stands";
  if (entry.stands === null) return "it does not say what stands";
  if (entry.kind !== "revoked") return log.active === null ? [] : replace(log.active.id, { state: "rotated" });
  const key = log.keys.find(({ id }) => id === entry.key);
  if (key === undefined) return "it revokes a key that is not in the log";
  if (key.state === "revoked") return "it revokes a key that is revoked";
  if (key === log.active) return "it revokes the key that signs, which has to be rotated before";
  return replace(key.id, { state: "revoked", reason: entry.reason });
}

function madeBy(entry: KeyLogEntry): LoggedKey | string | null {
  if (entry.kind === "revoked") return null;
  const key = readPublicKey(entry.publicKey);
  if (key === undefined) return "its key is none of ECDSA P-256";
  if (keyIdOfPem(entry.publicKey) !== entry.key) return "its key has another id";
  const { notBefore, notAfter, at: createdAt, publicKey } = entry;
  const ended = { endedAt: null, reason: null, stands: null };
  return { id: entry.key, publicKey, key, createdAt, notBefore, notAfter, state: "active", ...ended };
}

type EntrySignature = { readonly keyid: string; readonly sig: string };

function signedBy(
  entry: KeyLogEntry,
  signatures: readonly EntrySignature[],
  keys: readonly LoggedKey[],
): string | undefined {
  if (signatures.length !== keys.length) return "it lacks a signature, or has one too many";
  const payload = Buffer.from(canonicalJson(entry as unknown as Json));
  for (const [index, { id, key }] of keys.entries()) {
    const { keyid, sig } = signatures[index] ?? { keyid: "", sig: "" };
    const signature = readBase64(sig);
    if (keyid !== id || signature === undefined) return `it is not signed by ${shortKey(id)}`;
    if (!verifyPayload(key, { payloadType: entryType, payload, signature }))
      return `the signature of ${shortKey(id)} does not hold`;
  }
  return undefined;
}

function readSignatures(value: unknown): readonly EntrySignature[] | undefined {
  if (!Array.isArray(value) || value.length > 2) return undefined;
  const signatures = value.map((one: unknown) => {
    const { keyid, sig } = asObject(one) ?? {};
    return typeof keyid === "string" && typeof sig === "string" ? { keyid, sig } : undefined;
  });
  return signatures.every((one) => one !== undefined) ? signatures : undefined;
}

function readEntry(value: { readonly [key: string]: unknown } | undefined): KeyLogEntry | undefined {
  if (value === undefined) return undefined;
  const { kind, sequence, at, previous, stands, key, publicKey, notBefore, notAfter, reason } = value;
  if (!Number.isSafeInteger(sequence) || !isTime(at) || typeof key !== "string" || !isKeyId(key)) return undefined;
  if (!isDigestOrNull(previous) || !isDigestOrNull(stands)) return undefined;
  const common = { sequence: sequence as number, at, previous, stands, key };
  const names = Object.keys(common).length + 1;
  if (kind === "revoked") {
    if (typeof reason !== "string" || Object.keys(value).length !== names + 1) return undefined;
    return { ...common, kind, reason };
  }
  if ((kind !== "created" && kind !== "rotated") || typeof publicKey !== "string") return undefined;
  if (!isTime(notBefore) || (notAfter !== null && !isTime(notAfter)) || Object.keys(value).length !== names + 3)
    return undefined;
  return { ...common, kind, publicKey, notBefore, notAfter };
}

function isTime(value: unknown): value is string {
  return (
    typeof value === "string" &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) &&
    !Number.isNaN(Date.parse(value))
  );
}

function isDigestOrNull(value: unknown): value is Digest | null {
  return value === null || (typeof value === "string" && isDigest(value));
}

/** What a public key alone is worth: as if it were the only one, and had always signed. @returns undefined unless it is a PEM of ECDSA P-256 */
export function logOfKey(pem: string): KeyLog | undefined {
  const key = readPublicKey(pem);
  if (key === undefined) return undefined;
  const times = { createdAt: epoch, notBefore: epoch, notAfter: null, endedAt: null };
  const only: LoggedKey = {
    ...times,
    id: keyIdOf(key),
    publicKey: pem,
    key,
    state: "active",
    reason: null,
    stands: null,
  };
  return { entries: [], keys: [only], active: only, head: null };
}

const epoch = "1970-01-01T00:00:00.000Z";

/** How people see a key's id. */
export function shortKey(id: string): string {
  return id.slice(0, 12);
}
