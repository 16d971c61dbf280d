import type { EventData, LedgerEvent, NewEvent } from "../ledger/event.ts";
import { applyEvent, foldEvents } from "../ledger/fold.ts";
import type { LedgerState } from "../ledger/state.ts";
import { jumpOf } from "../ledger/timeline.ts";
import type { Clock } from "../ports/clock.ts";
import type { Journal } from "../ports/journal.ts";

/** An event that is about to be appended, and who hears of it. */
interface Soon {
  readonly data: EventData;
  readonly onDone: () => void;
  readonly onFailure: (thrown: unknown) => void;
}

/** Writes events to the journal, folds them into the state, and tells who listens: in this order. */
export class Recorder {
  readonly state: LedgerState;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #untold: LedgerEvent[] = [];
  readonly #soon: Soon[] = [];
  #isEnding = false;
  readonly #listeners = new Set<(event: LedgerEvent) => void>();

  /** @param state what the journal folds to, where that is known already */
  constructor(journal: Journal, clock: Clock, state: LedgerState = foldEvents(journal.read())) {
    this.#journal = journal;
    this.#clock = clock;
    this.state = state;
  }

  /** Appends events, all or none, after those that are about to be; when it returns they are on disk and in the state. */
  append(...data: readonly EventData[]): void {
    if (this.#soon.length === 0) return this.#write(data);
    const soon = this.#soon.splice(0);
    try {
      this.#write([...soon.map((one) => one.data), ...data]);
    } catch (error) {
      for (const { onFailure } of soon) onFailure(error);
      throw error;
    }
    for (const { onDone } of soon) onDone();
  }

  /**
   * Appends an event with all others that come at this moment, in one write: many instances come together.
   *
   * @param onDone called when it is on disk and in the state @param onFailure called in its place when it cannot be
   */
  appendSoon(data: EventData, onDone: () => void, onFailure: (thrown: unknown) => void): void {
    this.#soon.push({ data, onDone, onFailure });
    if (this.#isEnding) this.flush();
    else if (this.#soon.length === 1) this.#clock.after(0, () => this.flush());
  }

  /** Appends what is about to be; who asked for it hears when it fails. */
  flush(): void {
    if (this.#soon.length === 0) return;
    try {
      this.append();
    } catch {
      // Each of them was told.
    }
  }

  /** From now on nothing is held back: no time may be left. */
  end(): void {
    this.#isEnding = true;
    this.flush();
  }

  #write(data: readonly EventData[]): void {
    const events = this.#journal.append(this.#stamp(data));
    for (const event of events) applyEvent(this.state, event);
    const told = this.#untold.length === 0 ? events : [...this.#untold.splice(0), ...events];
    for (const event of told) for (const listener of this.#listeners) listener(event);
  }

  /**
   * Appends an intent that is carried out at once and whose result is appended next: it is in the state, survives this
   * process, and listeners hear of it when it is on disk with its result.
   */
  appendIntent(...data: readonly EventData[]): void {
    const events = this.#journal.appendIntent(this.#stamp(data));
    for (const event of events) applyEvent(this.state, event);
    this.#untold.push(...events);
  }

  /** Folds the ledger anew, into the same state; for when what was derived is found to differ. */
  refold(): void {
    Object.assign(this.state, foldEvents(this.#journal.read()));
  }

  /** Calls back after each event; returns the way to stop. */
  listen(listener: (event: LedgerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stamps follow the timeline exactly, so that durations between them are true; a jump of the clock comes first. */
  #stamp(data: readonly EventData[]): readonly NewEvent[] {
    const nowMs = this.#clock.now();
    const { timeline } = this.state;
    const byMs = jumpOf(timeline, nowMs, this.#clock.wall());
    const atMs = nowMs + timeline.offsetMs + byMs;
    const all: readonly EventData[] = byMs === 0 ? data : [{ kind: "clock.jumped", byMs }, ...data];
    return all.map((one) => ({ atMs, data: one }));
  }
}
