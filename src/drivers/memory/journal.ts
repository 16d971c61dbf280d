import { chainEvent, chainStart, type ChainHead } from "../../ledger/chain.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import type { Journal } from "../../ports/journal.ts";

/** A ledger in memory, for the simulator and tests. It outlives the controller that writes to it. */
export function createMemoryJournal(): Journal {
  const stored: LedgerEvent[] = [];
  let head: ChainHead = chainStart;
  return {
    append(events) {
      const chained = events.map((event) => {
        // Through JSON, as on disk: what cannot be stored must not work here either.
        const next = chainEvent(head, structuredClone(event));
        head = next;
        return next;
      });
      stored.push(...chained);
      return chained;
    },
    *read(after = 0) {
      for (const event of stored) if (event.seq > after) yield event;
    },
    close() {},
  };
}
