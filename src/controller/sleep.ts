import type { Clock } from "../ports/clock.ts";
import { onAbort } from "./on-abort.ts";

/** Waits on the given clock; ends early, without an error, when the signal is aborted. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      cancel();
      stopListening();
      resolve();
    };
    const cancel = clock.after(ms, done);
    const stopListening = onAbort(signal, done);
  });
}
