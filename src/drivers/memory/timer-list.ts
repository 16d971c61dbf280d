/** A callback that is to come. */
export interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
  /** Nothing goes on by promises after it. */
  readonly isQuiet: boolean;
}

/** Timers, the next one first; those of one moment in the order in which they came. */
export interface TimerList {
  add(timer: Timer): void;
  /** Takes a timer out; one that is not in it is fine. */
  remove(timer: Timer): void;
  /** Takes the next timer out that is due by then. */
  takeDue(untilMs: number): Timer | undefined;
  size(): number;
}

/**
 * A list in order: some twenty timers are there at a time, and most that come are due after nearly all of them or at once.
 * Thousands at one moment cost no more each.
 */
export function createTimerList(): TimerList {
  const timers: Timer[] = [];
  return {
    add(timer) {
      let place = timers.length;
      timers.push(timer);
      for (; place > 0; place -= 1) {
        const before = timers[place - 1];
        if (before === undefined || before.atMs <= timer.atMs) break;
        timers[place] = before;
      }
      timers[place] = timer;
    },
    remove(timer) {
      const place = timers.indexOf(timer);
      if (place >= 0) timers.splice(place, 1);
    },
    takeDue(untilMs) {
      const next = timers[0];
      return next === undefined || next.atMs > untilMs ? undefined : timers.shift();
    },
    size: () => timers.length,
  };
}
