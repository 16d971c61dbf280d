import { canonicalJson, sha256, type Digest, type Json } from "../model/canonical.ts";
import type { LedgerEvent, NewEvent } from "./event.ts";

/** The `prev` of the first event. */
export const chainStart: ChainHead = { seq: 0, hash: `sha256:${"0".repeat(64)}` as Digest };

/** Where a chain ends: what the next event continues. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: Digest;
}

/** Hash of an event: sha256 of the canonical JSON of `{atMs, data, prev, seq}`. */
export function eventHash(event: Omit<LedgerEvent, "hash">): Digest {
  const { atMs, data, prev, seq } = event;
  return sha256(canonicalJson({ atMs, data: data as unknown as Json, prev, seq }));
}

/** Chains an event to what is there. */
export function chainEvent(head: ChainHead, event: NewEvent): LedgerEvent {
  const unhashed = { seq: head.seq + 1, atMs: event.atMs, prev: head.hash, data: event.data };
  return { ...unhashed, hash: eventHash(unhashed) };
}

export interface ChainCheck {
  readonly head: ChainHead;
  /** The first event that does not hold; null: all do. */
  readonly damage: { readonly seq: number; readonly finding: string } | null;
}

/**
 * Goes through events from the first one and stops at the first that is missing, out of order or altered.
 *
 * @param events all events in the order they are stored
 * @param after where the chain before them ended; default: they begin it
 */
export function verifyChain(events: Iterable<LedgerEvent>, after: ChainHead = chainStart): ChainCheck {
  let head = after;
  for (const event of events) {
    const expected = head.seq + 1;
    if (event.seq !== expected) {
      return {
        head,
        damage: { seq: expected, finding: `event ${expected} is missing: ${event.seq} follows ${head.seq}` },
      };
    }
    if (event.prev !== head.hash) {
      return { head, damage: { seq: event.seq, finding: `event ${event.seq} does not continue event ${head.seq}` } };
    }
    if (event.hash !== eventHash(event)) {
      return {
        head,
        damage: { seq: event.seq, finding: `event ${event.seq} was altered: its hash does not fit its bytes` },
      };
    }
    head = event;
  }
  return { head: { seq: head.seq, hash: head.hash }, damage: null };
}
