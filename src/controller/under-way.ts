import type { EnvironmentRecord, SetRecord } from "../ledger/state.ts";
import type { SetName } from "../model/names.ts";
import type { Clock } from "../ports/clock.ts";
import { ensureWork, stepKey, type Step, type StepKey } from "../rollout/step.ts";
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

/** What is being carried out for one environment: by work, and by what it is the work of. */
type Running = Map<StepKey["work"], Map<StepKey["of"], Promise<void>>>;

function isRunning(running: Running, work: StepKey["work"], of: StepKey["of"]): boolean {
  return running.get(work)?.has(of) === true;
}

function idOf(key: string, { work, of }: StepKey): string {
  return `${key} ${work} ${of}`;
}

/** Steps that are being carried out, one at a time of each key, and when those that failed may be tried again. */
export class UnderWay {
  readonly #options: UnderWayOptions;
  readonly #running = new Map<string, Running>();
  readonly #retries = new Map<string, { readonly notBeforeMs: number; readonly delayMs: number }>();

  constructor(options: UnderWayOptions) {
    this.#options = options;
  }

  /** When all that is under way now has come to an end. */
  async settled(): Promise<void> {
    const all = [...this.#running.values()].flatMap((running) => [...running.values()]);
    await Promise.allSettled(all.flatMap((some) => [...some.values()]));
  }

  /** Begins what a plan says. @returns true when a step of it changed the record, so that the rest of the plan is void */
  begin(key: string, record: EnvironmentRecord, plan: readonly Step[]): boolean {
    const running = this.#runningOf(key);
    try {
      for (const step of plan) {
        const what = stepKey(step);
        // Nearly all of it is under way already.
        if (isRunning(running, what.work, what.of) || this.#isInTheWay(key, running, step)) continue;
        if (!this.#mustWait(key, what) && this.#beginOne(key, record, step, plan)) return true;
      }
      return false;
    } finally {
      this.#options.executor.begun();
    }
  }

  /** @returns true when it changed the record */
  #beginOne(key: string, record: EnvironmentRecord, step: Step, plan: readonly Step[]): boolean {
    const { executor, takeBack } = this.#options;
    const what = stepKey(step);
    try {
      if (step.kind === "take-back") {
        takeBack(record, step);
        return true;
      }
      if (executor.record(record, step, plan)) return true;
    } catch (error) {
      this.#retryLater(key, what, error);
      return false;
    }
    const running = this.#runningOf(key);
    const done = executor.run(record, step).then(
      () => {
        if (this.#retries.size > 0) this.#retries.delete(idOf(key, what));
        this.#end(key, running, what);
      },
      (error: unknown) => {
        this.#retryLater(key, what, error);
        this.#end(key, running, what);
      },
    );
    const others = running.get(what.work);
    if (others === undefined) running.set(what.work, new Map([[what.of, done]]));
    else others.set(what.of, done);
    return false;
  }

  #runningOf(key: string): Running {
    let running = this.#running.get(key);
    if (running === undefined) this.#running.set(key, (running = new Map()));
    return running;
  }

  #end(key: string, running: Running, { work, of }: StepKey): void {
    running.get(work)?.delete(of);
    this.#options.onDone(key);
  }

  /** Whether a step failed, and its time to be tried again has not come. */
  #mustWait(key: string, what: StepKey): boolean {
    const failed = this.#retries.size === 0 ? undefined : this.#retries.get(idOf(key, what));
    return failed !== undefined && failed.notBeforeMs > this.#options.clock.monotonic();
  }

  /** Whether what is under way has to end before a step may begin. */
  #isInTheWay(key: string, running: Running, step: Step): boolean {
    switch (step.kind) {
      case "route":
        // Shares are worked out by the instances that have their places: by those that are about to have them, too.
        return (running.get("place")?.size ?? 0) > 0;
      case "forget":
        // What is still being started is not seen yet: it is looked for, and ended, before its set is forgotten.
        return this.#isStarting(key, running, step.set);
      case "end":
        // One that is just being given its place is drained like any other when it has it.
        return isRunning(running, "place", step.set);
      case "finish-task":
      case "clear-task":
        // Whether it runs is known when its start has come to an end.
        return isRunning(running, "start-task", step.instance);
      default:
        return false;
    }
  }

  /** Whether instances of any process of a set are being started. */
  #isStarting(key: string, running: Running, set: SetName): boolean {
    const processes = this.#options.setOf(key, set)?.nextOrdinal.keys() ?? [];
    return [...processes].some((process) => isRunning(running, ensureWork(process), set));
  }

  #retryLater(key: string, what: StepKey, error: unknown): void {
    const { signal, clock, timers, warn, onRetry } = this.#options;
    if (signal.aborted) return;
    const id = idOf(key, what);
    const delayMs = Math.min(slowestRetryMs, (this.#retries.get(id)?.delayMs ?? firstRetryMs / 2) * 2);
    this.#retries.set(id, { notBeforeMs: clock.monotonic() + delayMs, delayMs });
    warn(`cannot carry out: ${id}; again in ${delayMs} ms`, error);
    timers.after(id, delayMs, () => onRetry(key));
  }
}
