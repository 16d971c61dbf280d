import { chainEvent, chainStart, type ChainHead } from "../../ledger/chain.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import { canonicalJson, type Json } from "../../model/canonical.ts";
import type { Journal } from "../../ports/journal.ts";

/** A ledger in memory, for the simulator and tests. It outlives the controller that writes to it. */
export function createMemoryJournal(): Journal {
  const stored: LedgerEvent[] = [];
  let head: ChainHead = chainStart;
  const append: Journal["append"] = (events) => {
    const chained: LedgerEvent[] = [];
    for (const { atMs, data } of events) {
      // Through JSON, as on disk: what cannot be stored must not work here either.
      const kept = JSON.parse(canonicalJson(data as unknown as Json)) as LedgerEvent["data"];
      chained.push(chainEvent(chained.at(-1) ?? head, { atMs, data: kept }));
    }
    stored.push(...chained);
    head = chained.at(-1) ?? head;
    return chained;
  };
  return {
    append,
    appendIntent: append,
    *read(after = 0) {
      for (const event of stored) if (event.seq > after) yield event;
    },
    close() {},
  };
}
