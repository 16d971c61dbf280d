import type { Clock } from "../../ports/clock.ts";
import { createTimerList, type Timer } from "./timer-list.ts";

/** A clock that stands still until it is told to go on. */
export interface VirtualClock extends Clock {
  /** Lets `ms` pass: runs what is due, in order, and what follows from it. */
  advance(ms: number): Promise<void>;
  /** As `advance`, and asks each `everyMs` on the way, when nothing is left to follow, whether to stop there. */
  advanceUnless(stops: () => boolean, everyMs: number, ms: number): Promise<void>;
  /** Lets time pass in small steps until the condition holds. @returns false when `mostMs` passed before */
  until(condition: () => boolean, mostMs: number): Promise<boolean>;
  /** As `after`, of what starts nothing that goes on by promises: what follows need not wait for them. */
  quietly(ms: number, callback: () => void): () => void;
  /** Sets the time of day forward or back; no time passes. */
  jump(ms: number): void;
  /** Callbacks that are still to come. */
  pending(): number;
}

const untilStepMs = 5;
/** Timers after which the event loop has its turn: signals and time-outs of the process are heard then. */
const timersPerTurn = 5_000;

export function createVirtualClock(startMs = 1_700_000_000_000): VirtualClock {
  const timers = createTimerList();
  let nowMs = startMs;
  let jumpedMs = 0;
  let fired = 0;

  const neverStops = (): boolean => false;

  function advance(ms: number, everyMs = ms, stops = neverStops): Promise<void> {
    const endMs = nowMs + ms;
    let untilMs = Math.min(endMs, nowMs + everyMs);
    return new Promise((resolve, reject) => {
      /** Called when all promises have gone on that can. */
      function next(): void {
        let isQuiet = true;
        while (isQuiet) {
          const timer = timers.takeDue(untilMs);
          if (timer === undefined) {
            nowMs = untilMs;
            if (untilMs >= endMs || stops()) {
              resolve();
              return;
            }
            untilMs = Math.min(endMs, untilMs + everyMs);
            continue;
          }
          nowMs = Math.max(nowMs, timer.atMs);
          try {
            timer.callback();
          } catch (error) {
            reject(error);
            return;
          }
          fired += 1;
          ({ isQuiet } = timer);
        }
        if (fired >= timersPerTurn) {
          fired = 0;
          setImmediate(soon);
        } else soon();
      }
      // A tick that is asked for by a microtask comes when no microtask is left, however many follow from each other. A turn
      // of the event loop would do the same at ten times the cost.
      // @see https://nodejs.org/api/process.html#when-to-use-queuemicrotask-vs-processnexttick
      const inTick = (): void => process.nextTick(next);
      const soon = (): void => void settled.then(inTick);
      soon();
    });
  }

  function plan(ms: number, callback: () => void, isQuiet: boolean): () => void {
    const timer: Timer = { atMs: nowMs + Math.max(0, ms), callback, isQuiet };
    timers.add(timer);
    return () => timers.remove(timer);
  }

  return {
    now: () => Math.floor(nowMs),
    wall: () => Math.floor(nowMs + jumpedMs),
    monotonic: () => nowMs - startMs,
    after: (ms, callback) => plan(ms, callback, false),
    quietly: (ms, callback) => plan(ms, callback, true),
    advance: (ms) => advance(ms),
    advanceUnless: (stops, everyMs, ms) => advance(ms, everyMs, stops),
    jump(ms) {
      jumpedMs += ms;
    },
    pending: () => timers.size(),
    async until(condition, mostMs) {
      const end = nowMs + mostMs;
      await advance(0);
      while (!condition() && nowMs < end) await advance(untilStepMs);
      return condition();
    },
  };
}

const settled = Promise.resolve();
