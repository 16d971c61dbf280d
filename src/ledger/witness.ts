import { createHash } from "node:crypto";
import { digestHex } from "../model/canonical.ts";
import { chainStart, eventHash, type ChainHead } from "./chain.ts";
import { fingerprint, fingerprintBytes, type Checkpoint } from "./checkpoint.ts";
import type { LedgerEvent } from "./event.ts";

/** The first event that is not what was signed. */
export interface Mismatch {
  readonly seq: number;
  /** What became of it, in words for people. */
  readonly finding: string;
  /** A person had a damaged ledger cut there, as the ledger itself says. */
  readonly isSalvage: boolean;
}

/**
 * Holds a ledger against what was signed of it: takes all events in the order in which they are stored, and names the first that was
 * removed, changed or moved. That anything was follows from the chain of digests alone; which one, and how, from the fingerprints.
 */
export class Witness {
  readonly #checkpoints: ReadonlyMap<number, Checkpoint>;
  readonly #last: Checkpoint;
  readonly #wanted: Buffer;
  #head: ChainHead = chainStart;
  /** The last event whose digest a checkpoint names, and which has it. */
  #proven = 0;
  #mismatch: Mismatch | null = null;
  /** The first event that differs, until the one after it tells how. */
  #odd: { readonly event: LedgerEvent; readonly print: Buffer } | null = null;

  /**
   * @param checkpoints of one ledger, at least one, in any order
   * @param fingerprints of its events from the first on; those that no checkpoint vouches for are not looked at
   */
  constructor(checkpoints: readonly Checkpoint[], fingerprints: Buffer) {
    const sorted = checkpoints.toSorted((a, b) => a.sequence - b.sequence);
    const last = sorted.at(-1);
    if (last === undefined) throw new RangeError("a witness needs a checkpoint");
    this.#last = last;
    this.#checkpoints = new Map(sorted.map((one) => [one.sequence, one]));
    this.#wanted = vouchedFor(sorted, fingerprints);
  }

  take(event: LedgerEvent): void {
    if (this.#mismatch !== null) return;
    if (this.#odd !== null) return this.#explain(this.#odd, event);
    const seq = this.#head.seq + 1;
    if (seq > this.#last.sequence) return;
    if (event.seq !== seq) return this.#found(seq, `it was removed: event ${event.seq} follows event ${seq - 1}`);
    const print = fingerprint(event);
    const wanted = this.#print(seq);
    if (wanted !== undefined && !wanted.equals(print)) {
      this.#odd = { event, print };
      return;
    }
    if (event.prev !== this.#head.hash) return this.#found(seq, `it does not continue event ${seq - 1}`);
    if (event.hash !== eventHash(event)) return this.#found(seq, "it was changed: its hash does not fit its bytes");
    const signed = this.#checkpoints.get(seq);
    if (seq === 1 && event.hash !== this.#last.ledger) return this.#found(1, replaced);
    if (signed !== undefined && signed.head !== event.hash) {
      const from = this.#proven + 1;
      return this.#found(
        from,
        from === seq ? "it was changed" : `this event, or one until event ${seq}, was changed, removed or moved`,
      );
    }
    if (signed !== undefined) this.#proven = seq;
    this.#head = { seq, hash: event.hash };
  }

  /** To be called after the last event. @returns null: all that was signed is there, as it was */
  finish(): Mismatch | null {
    if (this.#odd !== null) this.#explain(this.#odd, undefined);
    const { sequence } = this.#last;
    const next = this.#head.seq + 1;
    if (this.#mismatch === null && next <= sequence)
      this.#found(next, `it was removed${next === sequence ? "" : `, with all until event ${sequence}`}`);
    return this.#mismatch;
  }

  #found(seq: number, finding: string, isSalvage = false): void {
    this.#mismatch = { seq, finding, isSalvage };
  }

  #print(seq: number): Buffer | undefined {
    const end = seq * fingerprintBytes;
    return seq > 0 && end <= this.#wanted.length ? this.#wanted.subarray(end - fingerprintBytes, end) : undefined;
  }

  /** What became of the event at the place of which another one stands. */
  #explain({ event, print }: { event: LedgerEvent; print: Buffer }, next: LedgerEvent | undefined): void {
    const { seq, data } = event;
    this.#odd = null;
    if (data.kind === "ledger.salvaged")
      return this.#found(
        seq,
        `it and what came later were dropped by ${data.who}, who had a damaged ledger cut there`,
        true,
      );
    const after = next === undefined ? undefined : fingerprint(next);
    const is = (seen: Buffer | undefined, at: number): boolean =>
      seen !== undefined && this.#print(at)?.equals(seen) === true;
    const now = this.#placeOf(print);
    if (is(after, seq + 1)) return this.#found(seq, "it was changed");
    if (seq === 1 && now === undefined) return this.#found(seq, replaced);
    if (now === seq + 1 && !is(after, seq)) return this.#found(seq, "it was removed");
    if (now !== undefined) return this.#found(seq, `it was moved: what was event ${now} stands in its place`);
    if (is(after, seq)) return this.#found(seq, "another event was put before it");
    return this.#found(seq, "it was changed, or removed with others");
  }

  #placeOf(print: Buffer): number | undefined {
    for (let at = 0; at < this.#wanted.length; at += fingerprintBytes)
      if (this.#wanted.compare(print, 0, fingerprintBytes, at, at + fingerprintBytes) === 0)
        return at / fingerprintBytes + 1;
    return undefined;
  }
}

const replaced = "the ledger begins with another event: it was replaced, or the checkpoint is of another one";

/** As many fingerprints as the latest checkpoint commits to that fits; what was altered names no event. */
function vouchedFor(sorted: readonly Checkpoint[], fingerprints: Buffer): Buffer {
  const hash = createHash("sha256");
  let whole = 0;
  let at = 0;
  for (const { sequence, events } of sorted) {
    const end = sequence * fingerprintBytes;
    if (end > fingerprints.length) break;
    hash.update(fingerprints.subarray(at, end));
    at = end;
    if (hash.copy().digest("hex") !== digestHex(events)) break;
    whole = end;
  }
  return fingerprints.subarray(0, whole);
}
