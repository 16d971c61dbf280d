import type { EventData, LedgerEvent } from "../ledger/event.ts";
import { applyEvent, foldEvents } from "../ledger/fold.ts";
import type { LedgerState } from "../ledger/state.ts";
import type { Clock } from "../ports/clock.ts";
import type { Journal } from "../ports/journal.ts";

/** Writes events to the journal, folds them into the state, and tells who listens: in this order. */
export class Recorder {
  readonly state: LedgerState;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #untold: LedgerEvent[] = [];
  readonly #listeners = new Set<(event: LedgerEvent) => void>();

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
    this.state = foldEvents(journal.read());
  }

  /** Appends events, all or none; when it returns they are on disk and in the state. */
  append(...data: readonly EventData[]): void {
    const atMs = this.#clock.now();
    const events = this.#journal.append(data.map((one) => ({ atMs, data: one })));
    for (const event of events) applyEvent(this.state, event);
    const told = [...this.#untold.splice(0), ...events];
    for (const event of told) for (const listener of this.#listeners) listener(event);
  }

  /**
   * Appends an intent that is carried out at once and whose result is appended next: it is in the state, survives this
   * process, and listeners hear of it when it is on disk with its result.
   */
  appendIntent(...data: readonly EventData[]): void {
    const atMs = this.#clock.now();
    const events = this.#journal.appendIntent(data.map((one) => ({ atMs, data: one })));
    for (const event of events) applyEvent(this.state, event);
    this.#untold.push(...events);
  }

  /** Calls back after each event; returns the way to stop. */
  listen(listener: (event: LedgerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
