import { chainStart, verifyChain, type ChainCheck } from "../ledger/chain.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import { applyEvent } from "../ledger/fold.ts";
import { emptyState, type LedgerState } from "../ledger/state.ts";
import type { Journal } from "../ports/journal.ts";

/** Events read in one go: some milliseconds of work. */
const pageEvents = 1_000;

/** The ledger's events, some at a time; between them everything else has its turn, for a ledger may be long. */
export async function* ledgerPages(journal: Journal, after = 0): AsyncGenerator<readonly LedgerEvent[]> {
  for (let last: number | undefined = after; last !== undefined;) {
    const page: LedgerEvent[] = [];
    for (const event of journal.read(last)) {
      page.push(event);
      if (page.length === pageEvents) break;
    }
    last = page.at(-1)?.seq;
    if (last !== undefined) yield page;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * The state as it was at a time of day in the past, in ms since the epoch. Where the clock was set back, a time has been
 * twice: the later one counts.
 */
export async function stateAt(journal: Journal, atMs: number): Promise<LedgerState> {
  let last = 0;
  for await (const page of ledgerPages(journal)) last = page.findLast((event) => event.atMs <= atMs)?.seq ?? last;
  const state = emptyState();
  for await (const page of ledgerPages(journal)) {
    for (const event of page) {
      if (event.seq > last) return state;
      applyEvent(state, event);
    }
  }
  return state;
}

/** Checks the chain and folds it anew, up to its last event: that of the moment in which `compare` is called. */
export async function audit(
  journal: Journal,
  compare: (folded: LedgerState) => boolean,
): Promise<ChainCheck & { readonly equal: boolean }> {
  const state = emptyState();
  let check: ChainCheck = { head: chainStart, damage: null };
  const take = (events: Iterable<LedgerEvent>): boolean => {
    const taken = [...events];
    check = verifyChain(taken, check.head);
    if (check.damage === null) for (const event of taken) applyEvent(state, event);
    return check.damage === null;
  };
  for await (const page of ledgerPages(journal)) if (!take(page)) return { ...check, equal: false };
  // What was appended since the last page: from here on nothing comes between.
  return take(journal.read(check.head.seq)) ? { ...check, equal: compare(state) } : { ...check, equal: false };
}
