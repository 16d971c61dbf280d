import { readFileSync } from "node:fs";
import type { Boot } from "../../ledger/timeline.ts";
import type { Clock } from "../../ports/clock.ts";

/** The longest that a timer of Node's can be set for, in ms: one set for longer ends at once. */
const longestTimerMs = 2 ** 31 - 1;

/** The machine's own time. @param startMs the moment on the ledger's timeline that it is now */
export function createSystemClock(startMs: number): Clock {
  const began = performance.now();
  /** Due now, in order. */
  let soon: (() => void)[] = [];
  const runSoon = (): void => {
    const due = soon;
    soon = [];
    for (const callback of due) callback();
  };
  return {
    now: () => Math.floor(startMs + performance.now() - began),
    wall: () => Date.now(),
    monotonic: () => performance.now(),
    after(ms, callback) {
      // What is due now waits for nothing but what has happened already: a timer of Node's would take a whole ms.
      if (ms <= 0) {
        let isCancelled = false;
        if (soon.length === 0) setImmediate(runSoon);
        soon.push(() => isCancelled || callback());
        return () => void (isCancelled = true);
      }
      const dueMs = performance.now() + ms;
      let timer: NodeJS.Timeout;
      // Node counts from when its event loop last woke up, in whole ms: its timers end up to so much too early.
      const wait = (leftMs: number): void => {
        timer = setTimeout(
          () => {
            const stillMs = dueMs - performance.now();
            if (stillMs > 0) wait(stillMs);
            else {
              // Timers of Node's that are over come before what it has to do at once.
              runSoon();
              callback();
            }
          },
          Math.min(leftMs, longestTimerMs),
        );
      };
      wait(ms);
      return () => clearTimeout(timer);
    },
  };
}

/** Which boot of the machine this is and how old it is: the only time that nobody can set. @see proc(5) */
export function readBoot(): Boot {
  const upSeconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return { id: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(), upMs: Math.round(upSeconds * 1_000) };
}
