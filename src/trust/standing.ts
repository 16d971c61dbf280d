import { digestHex, isDigest, sha256, type Digest } from "../model/canonical.ts";
import type { KeyId } from "./envelope.ts";
import type { KeyLog, LoggedKey } from "./key-log.ts";

/**
 * The list of statements that stand although their key was rotated or revoked: hex digests of their bytes in order, one a line.
 * Its own digest stands in the key log.
 */
export function serialiseStanding(statements: Iterable<Digest>): Buffer {
  const lines = [...new Set(statements)].map((digest) => `${digestHex(digest)}\n`);
  return Buffer.from(lines.sort().join(""), "latin1");
}

const lineBytes = 65;

/** Whether a list names a statement. Lists may have hundreds of thousands of lines: a search by halves. */
export function isListed(list: Uint8Array, statement: Digest): boolean {
  const wanted = Buffer.from(digestHex(statement), "latin1");
  let low = 0;
  let high = Math.floor(list.byteLength / lineBytes);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = wanted.compare(list, middle * lineBytes, middle * lineBytes + lineBytes - 1);
    if (order === 0) return true;
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return false;
}

/** Whether bytes are the list that the log names, and one that can be searched. */
export function isStandingList(bytes: Uint8Array, digest: Digest): boolean {
  return sha256(bytes) === digest && bytes.byteLength % lineBytes === 0;
}

/** What signatures are held against: data, read beforehand. */
export interface TrustMaterial {
  readonly log: KeyLog;
  /** The lists that the log names, by digest; those that are lost or damaged are left out. */
  readonly standing: ReadonlyMap<Digest, Uint8Array>;
}

/**
 * Whether a key's signature of a statement is believed.
 *
 * The time of signing is nobody's word but the signer's, so it counts for nothing. A key that signs now is believed within its
 * window. One that was revoked, and one whose window is over, is believed for what the log lists: what this machine had of it
 * when it was rotated or revoked. One that was rotated and whose window is open is believed.
 *
 * @param nowMs wall clock, ms since the epoch
 * @returns in words for people why not
 */
export function whyNotBelieved(
  key: LoggedKey,
  statement: Digest,
  { standing }: TrustMaterial,
  nowMs: number,
): string | undefined {
  const list = key.stands === null ? undefined : standing.get(key.stands);
  const stands = list !== undefined && isListed(list, statement);
  if (key.state === "revoked" && !stands) {
    const why = key.reason === null || key.reason === "" ? "" : ` (${key.reason})`;
    return `its key was revoked at ${key.endedAt ?? ""}${why}, and it is not among what stood then${lost(key, list)}`;
  }
  if (stands) return undefined;
  if (nowMs < Date.parse(key.notBefore)) return `its key is valid only from ${key.notBefore} on`;
  if (key.notAfter !== null && nowMs >= Date.parse(key.notAfter))
    return `its key was valid until ${key.notAfter}, and it is not listed as signed before${lost(key, list)}`;
  return undefined;
}

function lost({ stands }: LoggedKey, list: Uint8Array | undefined): string {
  return stands === null || list !== undefined ? "" : ` (the list of what stood, ${stands}, is lost or damaged)`;
}

/** The key that is said to have signed, else all: a bundle of another tool need not say. */
export function candidateKeys({ keys }: KeyLog, keyId: KeyId | null): readonly LoggedKey[] {
  return keyId === null ? keys : keys.filter(({ id }) => id === keyId);
}

/** The statements that a list names. */
export function listedIn(list: Uint8Array): readonly Digest[] {
  const lines = Buffer.from(list).toString("latin1").split("\n");
  return lines.map((line) => `sha256:${line}`).filter(isDigest);
}
