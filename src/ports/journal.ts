import type { LedgerEvent, NewEvent } from "../ledger/event.ts";

/** The ledger's storage: append-only, in order, on disk before `append` returns. */
export interface Journal {
  /**
   * Appends all or none, chained to what is there. Synchronous: when it returns, the events survive a power cut.
   *
   * @throws {OperatorError} `DISK_FULL` (nothing was written), `LEDGER_DAMAGED`
   */
  append(events: readonly NewEvent[]): readonly LedgerEvent[];
  /**
   * The same, but a power cut before the next `append` may take the events along; the death of this process may not. For
   * an intent whose effect a power cut undoes as well, and whose result is appended before anyone hears of either.
   */
  appendIntent(events: readonly NewEvent[]): readonly LedgerEvent[];
  /** Events with `seq` greater than `after`, oldest first. */
  read(after?: number): Iterable<LedgerEvent>;
  close(): void;
}
