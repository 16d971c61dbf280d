import { canonicalJson, isDigest, sha256, type Digest, type Json } from "../model/canonical.ts";
import { readBase64 } from "../trust/base64.ts";
import { readBundle } from "../trust/bundle.ts";
import type { KeyId } from "../trust/envelope.ts";
import type { TrustMaterial } from "../trust/standing.ts";
import { asObject, parseJson, readStatement, type Statement } from "../trust/statement.ts";
import { judgeBundle } from "../trust/verify.ts";
import type { LedgerEvent } from "./event.ts";

/**
 * The kind of statement that a checkpoint is. Its subject is the ledger's last event, whose digest stands for all events before it; it is
 * signed and carried as any other statement, so that the same tools verify it.
 */
export const checkpointType = "urn:bronze:ledger-checkpoint:v1";

/** What a ledger was at some moment. */
export interface Checkpoint {
  /** Digest of the first event: no two ledgers begin alike. */
  readonly ledger: Digest;
  /** Number of the last event. */
  readonly sequence: number;
  /** Its digest. */
  readonly head: Digest;
  /** ISO 8601, as the machine's clock said. */
  readonly at: string;
  /** Digest of the fingerprints of all events until then, one after another. */
  readonly events: Digest;
}

/** Bytes of a {@link fingerprint}. */
export const fingerprintBytes = 8;

/** What tells an event from others wherever it stands: the beginning of the digest of its time and data. */
export function fingerprint({ atMs, data }: LedgerEvent): Buffer {
  const digest = sha256(canonicalJson({ atMs, data: data as unknown as Json }));
  return Buffer.from(digest.slice("sha256:".length, "sha256:".length + fingerprintBytes * 2), "hex");
}

export function checkpointStatement({ head, ...predicate }: Checkpoint): Statement {
  return { subject: head, predicateType: checkpointType, predicate };
}

/** A checkpoint in a file: signed, with the fingerprints of the events since an earlier one. */
export interface CheckpointEntry {
  /** The bundle's bytes. */
  readonly bundle: Buffer;
  /** Number of the event after which `fingerprints` begin; 0: all are there. */
  readonly after: number;
  readonly fingerprints: Buffer;
}

/** One line of a file of checkpoints, without its end. */
export function serialiseEntry({ bundle, after, fingerprints }: CheckpointEntry): string {
  return JSON.stringify({
    checkpoint: JSON.parse(bundle.toString("utf8")) as unknown,
    after,
    events: fingerprints.toString("base64"),
  });
}

/** @returns in words for people why a line is no checkpoint */
export function readEntry(line: string): CheckpointEntry | string {
  const fields = asObject(parseJson(Buffer.from(line)));
  const { checkpoint, after, events } = fields ?? {};
  const fingerprints = typeof events === "string" ? readBase64(events) : undefined;
  if (asObject(checkpoint) === undefined || fingerprints === undefined) return "it is no checkpoint";
  if (typeof after !== "number" || !Number.isSafeInteger(after) || after < 0)
    return "it does not say where its events begin";
  return { bundle: Buffer.from(JSON.stringify(checkpoint)), after, fingerprints };
}

/** A checkpoint whose signature is believed, and the digest of the statement that says it. */
export interface BelievedCheckpoint extends Checkpoint {
  readonly statement: Digest;
  /** The key that signed it. */
  readonly key: KeyId | null;
}

/**
 * Verifies a signed checkpoint.
 *
 * @param nowMs wall clock, ms since the epoch
 * @returns in words for people why it is not believed
 */
export function believeCheckpoint(bundle: Buffer, trust: TrustMaterial, nowMs: number): BelievedCheckpoint | string {
  const read = readBundle(bundle);
  if (typeof read === "string") return `its bundle cannot be used: ${read}`;
  const statement = readStatement(read.payload);
  if (typeof statement === "string") return statement;
  const verdict = judgeBundle({ manifest: sha256(bundle), bytes: bundle }, statement.subject, trust, {}, nowMs);
  if (verdict.problem !== null) return verdict.problem;
  if (statement.predicateType !== checkpointType) return "what is signed is no checkpoint";
  const { ledger, sequence, at, events, ...more } = statement.predicate;
  const isWhole =
    typeof ledger === "string" &&
    isDigest(ledger) &&
    typeof events === "string" &&
    isDigest(events) &&
    typeof sequence === "number" &&
    Number.isSafeInteger(sequence) &&
    sequence > 0 &&
    typeof at === "string" &&
    Object.keys(more).length === 0;
  if (!isWhole) return "what is signed is no checkpoint of this version";
  return { ledger, sequence, head: statement.subject, at, events, statement: sha256(read.payload), key: verdict.key };
}
