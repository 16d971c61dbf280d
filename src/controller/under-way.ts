import type { EnvironmentRecord, SetRecord } from "../ledger/state.ts";
import type { SetName } from "../model/names.ts";
import type { Clock } from "../ports/clock.ts";
import { ensureKey, placeKey, startTaskKey, stepKey, type Step } from "../rollout/step.ts";
import type { Executor } from "./executor.ts";
import type { Timers } from "./timers.ts";

export const firstRetryMs = 250;
export const slowestRetryMs = 10_000;

export interface UnderWayOptions {
  readonly executor: Executor;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly signal: AbortSignal;
  /** A set by its environment's key. */
  readonly setOf: (key: string, set: SetName) => SetRecord | undefined;
  readonly takeBack: (record: EnvironmentRecord, step: Extract<Step, { kind: "take-back" }>) => void;
  readonly warn: (message: string, thrown: unknown) => void;
  /** A step of an environment came to its end: what follows is to be planned. */
  readonly onDone: (key: string) => void;
  /** A step that failed may be tried again. */
  readonly onRetry: (key: string) => void;
}

/** Steps that are being carried out, one at a time of each key, and when those that failed may be tried again. */
export class UnderWay {
  readonly #options: UnderWayOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #retries = new Map<string, { readonly notBeforeMs: number; readonly delayMs: number }>();

  constructor(options: UnderWayOptions) {
    this.#options = options;
  }

  /** When all that is under way now has come to an end. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running.values());
  }

  /** Begins a step. @returns true when it changed the record, so that the rest of the plan is void */
  begin(key: string, record: EnvironmentRecord, step: Step): boolean {
    const { executor, clock, takeBack, onDone } = this.#options;
    const id = `${key} ${stepKey(step)}`;
    if (this.#running.has(id) || this.#isInTheWay(key, step)) return false;
    if ((this.#retries.get(id)?.notBeforeMs ?? 0) > clock.monotonic()) return false;
    try {
      if (step.kind === "take-back") {
        takeBack(record, step);
        return true;
      }
      if (executor.record(record, step)) return true;
    } catch (error) {
      this.#retryLater(key, id, error);
      return false;
    }
    const work = executor.run(record, step).then(
      () => this.#retries.delete(id),
      (error: unknown) => this.#retryLater(key, id, error),
    );
    const done = work.then(() => {
      this.#running.delete(id);
      onDone(key);
    });
    this.#running.set(id, done);
    return false;
  }

  /** Whether what is under way has to end before a step may begin. */
  #isInTheWay(key: string, step: Step): boolean {
    switch (step.kind) {
      case "route":
        // Shares are worked out by the instances that have their places: by those that are about to have them, too.
        return this.#isPlacing(key);
      case "forget":
        // What is still being started is not seen yet: it is looked for, and ended, before its set is forgotten.
        return this.#isStarting(key, step.set);
      case "end":
        // One that is just being given its place is drained like any other when it has it.
        return this.#running.has(`${key} ${placeKey(step.set)}`);
      case "finish-task":
      case "clear-task":
        // Whether it runs is known when its start has come to an end.
        return this.#running.has(`${key} ${startTaskKey(step.instance)}`);
      default:
        return false;
    }
  }

  /** Whether instances of an environment are being given their places; it is planned anew when they have them. */
  #isPlacing(key: string): boolean {
    for (const id of this.#running.keys()) if (id.startsWith(`${key} place `)) return true;
    return false;
  }

  /** Whether instances of any process of a set are being started. */
  #isStarting(key: string, set: SetName): boolean {
    const processes = this.#options.setOf(key, set)?.nextOrdinal.keys() ?? [];
    return [...processes].some((process) => this.#running.has(`${key} ${ensureKey(set, process)}`));
  }

  #retryLater(key: string, id: string, error: unknown): void {
    const { signal, clock, timers, warn, onRetry } = this.#options;
    if (signal.aborted) return;
    const delayMs = Math.min(slowestRetryMs, (this.#retries.get(id)?.delayMs ?? firstRetryMs / 2) * 2);
    this.#retries.set(id, { notBeforeMs: clock.monotonic() + delayMs, delayMs });
    warn(`cannot carry out: ${id}; again in ${delayMs} ms`, error);
    timers.after(id, delayMs, () => onRetry(key));
  }
}
