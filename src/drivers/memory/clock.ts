import type { Clock } from "../../ports/clock.ts";
import { createTimerHeap, type Timer } from "./timer-heap.ts";

/** A clock that stands still until it is told to go on. */
export interface VirtualClock extends Clock {
  /** Lets `ms` pass: runs what is due, in order, and what follows from it. */
  advance(ms: number): Promise<void>;
  /** Lets time pass in small steps until the condition holds. @returns false when `mostMs` passed before */
  until(condition: () => boolean, mostMs: number): Promise<boolean>;
  /** Sets the time of day forward or back; no time passes. */
  jump(ms: number): void;
  /** Callbacks that are still to come. */
  pending(): number;
}

const untilStepMs = 5;
/** Timers after which the event loop has its turn: signals and time-outs of the process are heard then. */
const timersPerTurn = 5_000;

export function createVirtualClock(startMs = 1_700_000_000_000): VirtualClock {
  const timers = createTimerHeap();
  let nowMs = startMs;
  let jumpedMs = 0;
  let order = 0;
  let fired = 0;

  async function advance(ms: number): Promise<void> {
    const untilMs = nowMs + ms;
    await settle();
    for (let timer = timers.takeDue(untilMs); timer !== undefined; timer = timers.takeDue(untilMs)) {
      nowMs = Math.max(nowMs, timer.atMs);
      timer.callback();
      fired += 1;
      if (fired % timersPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
      await settle();
    }
    nowMs = untilMs;
  }

  return {
    now: () => Math.floor(nowMs),
    wall: () => Math.floor(nowMs + jumpedMs),
    monotonic: () => nowMs - startMs,
    after(ms, callback) {
      order += 1;
      const timer: Timer = { atMs: nowMs + Math.max(0, ms), order, callback, place: -1 };
      timers.add(timer);
      return () => timers.remove(timer);
    },
    advance,
    jump(ms) {
      jumpedMs += ms;
    },
    pending: () => timers.size(),
    async until(condition, mostMs) {
      const end = nowMs + mostMs;
      await settle();
      while (!condition() && nowMs < end) await advance(untilStepMs);
      return condition();
    },
  };
}

/**
 * Lets all promises go on that can: a tick that is asked for by a microtask comes when no microtask is left, however many
 * follow from each other. A turn of the event loop would do the same at ten times the cost.
 *
 * @see https://nodejs.org/api/process.html#when-to-use-queuemicrotask-vs-processnexttick
 */
async function settle(): Promise<void> {
  await Promise.resolve();
  await new Promise<void>((resolve) => process.nextTick(resolve));
}
