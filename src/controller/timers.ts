import type { Clock } from "../ports/clock.ts";

/** Longest wait for a moment before it is worked out anew, in ms: timers end at 2^31, and clocks are put right. */
const longestWaitMs = 60_000;

interface Named {
  readonly cancel: () => void;
  /** The moment that was asked for, ms since the epoch; null: none was. */
  readonly atMs: number | null;
}

/** What is to happen later: by a name, which a later one of that name replaces, and again and again. */
export class Timers {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #onFailure: (thrown: unknown) => void;
  readonly #named = new Map<string, Named>();
  readonly #regular = new Set<() => void>();

  /** @param signal after it nothing happens any more */
  constructor(clock: Clock, signal: AbortSignal, onFailure: (thrown: unknown) => void) {
    this.#clock = clock;
    this.#signal = signal;
    this.#onFailure = onFailure;
  }

  /**
   * Calls back at a moment, or before it where that is far away. One that waits for that very moment already stays.
   *
   * @param atMs ms since the epoch
   */
  at(name: string, atMs: number, callback: () => void): void {
    if (this.#named.get(name)?.atMs === atMs) return;
    this.#set(name, atMs, Math.min(longestWaitMs, Math.max(1, atMs - this.#clock.now())), callback);
  }

  after(name: string, ms: number, callback: () => void): void {
    this.#set(name, null, ms, callback);
  }

  cancel(name: string): void {
    const named = this.#named.get(name);
    if (named === undefined) return;
    named.cancel();
    this.#named.delete(name);
  }

  #set(name: string, atMs: number | null, ms: number, callback: () => void): void {
    this.cancel(name);
    const cancel = this.#clock.after(ms, () => {
      this.#named.delete(name);
      callback();
    });
    this.#named.set(name, { cancel, atMs });
  }

  /** Calls back each time that so many ms have passed, whatever came of the time before. */
  every(ms: number, callback: () => void): void {
    const again = (): void => {
      this.#regular.delete(cancel);
      if (this.#signal.aborted) return;
      try {
        callback();
      } catch (error) {
        this.#onFailure(error);
      }
      cancel = this.#clock.after(ms, again);
      this.#regular.add(cancel);
    };
    let cancel = this.#clock.after(ms, again);
    this.#regular.add(cancel);
  }

  stop(): void {
    for (const cancel of this.#regular) cancel();
    for (const { cancel } of this.#named.values()) cancel();
  }
}
