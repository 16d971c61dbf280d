import type { Clock } from "../../ports/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is told to go on. */
export interface VirtualClock extends Clock {
  /** Lets `ms` pass: runs what is due, in order, and what follows from it. */
  advance(ms: number): Promise<void>;
  /** Lets time pass in small steps until the condition holds. @returns false when `mostMs` passed before */
  until(condition: () => boolean, mostMs: number): Promise<boolean>;
  /** Sets the time of day forward or back; no time passes. */
  jump(ms: number): void;
}

/** Turns of the event loop given to promises between two timers: more than any chain of awaits here is long. */
const settlingTurns = 4;
const untilStepMs = 5;

export function createVirtualClock(startMs = 1_700_000_000_000): VirtualClock {
  const timers = new Set<Timer>();
  let nowMs = startMs;
  let jumpedMs = 0;
  let order = 0;

  function nextDue(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) {
      if (timer.atMs > untilMs) continue;
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order))
        next = timer;
    }
    return next;
  }

  async function settle(): Promise<void> {
    for (let turn = 0; turn < settlingTurns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async function advance(ms: number): Promise<void> {
    const untilMs = nowMs + ms;
    await settle();
    for (let timer = nextDue(untilMs); timer !== undefined; timer = nextDue(untilMs)) {
      timers.delete(timer);
      nowMs = Math.max(nowMs, timer.atMs);
      timer.callback();
      await settle();
    }
    nowMs = untilMs;
  }

  return {
    now: () => nowMs,
    wall: () => nowMs + jumpedMs,
    monotonic: () => nowMs - startMs,
    after(ms, callback) {
      const timer: Timer = { atMs: nowMs + Math.max(0, ms), order: (order += 1), callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance,
    jump(ms) {
      jumpedMs += ms;
    },
    async until(condition, mostMs) {
      const end = nowMs + mostMs;
      await settle();
      while (!condition() && nowMs < end) await advance(untilStepMs);
      return condition();
    },
  };
}
