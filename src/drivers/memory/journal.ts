import { OperatorError } from "../../errors/operator-error.ts";
import { chainEvent, chainStart, type ChainHead } from "../../ledger/chain.ts";
import type { LedgerEvent, NewEvent } from "../../ledger/event.ts";
import { canonicalJson, type Digest, type Json } from "../../model/canonical.ts";
import type { Journal } from "../../ports/journal.ts";

/** A ledger in memory, with what may happen to one on a disk. It outlives the controller that writes to it. */
export interface MemoryJournal extends Journal {
  /** The writer ends in the midst of writing these: some lie there, and the end of the write does not. */
  tear(events: readonly NewEvent[]): void;
  /** The machine goes off: intents that no append followed are gone. */
  cutPower(): void;
  /** From now on there is no room; false: there is again. */
  fill(full: boolean): void;
}

export interface MemoryJournalOptions {
  /**
   * `cheap`: events are chained by numbers in place of hashes and kept as they are given, for runs by the thousand;
   * default: as on disk.
   */
  readonly chain?: "cheap";
}

/** For the simulator and tests. */
export function createMemoryJournal(options: MemoryJournalOptions = {}): MemoryJournal {
  const stored: LedgerEvent[] = [];
  let head: ChainHead = chainStart;
  /** Events up to here survive a power cut. */
  let synced = 0;
  let torn: readonly LedgerEvent[] = [];
  let full = false;
  const link = options.chain === "cheap" ? linkCheaply : linkAsOnDisk;

  function chained(events: readonly NewEvent[]): readonly LedgerEvent[] {
    let last = head;
    return events.map((event) => {
      const next = link(last, event);
      last = next;
      return next;
    });
  }

  function append(events: readonly NewEvent[]): readonly LedgerEvent[] {
    recover();
    if (full && events.length > 0)
      throw new OperatorError("DISK_FULL", "Cannot record: the disk is full", { hint: "make room" });
    const added = chained(events);
    stored.push(...added);
    head = added.at(-1) ?? head;
    return added;
  }

  /** What was begun and not finished is dropped before anything is read or written, as by a journal on disk. */
  function recover(): void {
    if (torn.length === 0) return;
    stored.length -= torn.length;
    torn = [];
  }

  return {
    append(events) {
      const added = append(events);
      if (events.length > 0) synced = stored.length;
      return added;
    },
    appendIntent: append,
    read(after = 0) {
      recover();
      // Without holes from 1 on: an event's place follows from its number.
      return stored.slice(after);
    },
    close() {},
    tear(events) {
      recover();
      torn = chained(events).slice(0, Math.ceil(events.length / 2));
      stored.push(...torn);
    },
    cutPower() {
      recover();
      stored.length = synced;
      head = stored.at(-1) ?? chainStart;
    },
    fill: (isFull) => void (full = isFull),
  };
}

/** Through JSON, as on disk: what cannot be stored must not work here either. */
function linkAsOnDisk(head: ChainHead, { atMs, data }: NewEvent): LedgerEvent {
  return chainEvent(head, { atMs, data: JSON.parse(canonicalJson(data as unknown as Json)) as LedgerEvent["data"] });
}

function linkCheaply(head: ChainHead, { atMs, data }: NewEvent): LedgerEvent {
  const seq = head.seq + 1;
  return { seq, atMs, prev: head.hash, hash: `sha256:${seq}` as Digest, data };
}
