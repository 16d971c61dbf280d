import { setTimeout as sleep } from "node:timers/promises";
import { Passing } from "./refusals.ts";

export interface RetryOptions {
  readonly signal: AbortSignal;
  /** Wait before the second try, in ms; it grows threefold. */
  readonly firstWaitMs: number;
}

const mostTries = 5;
const longestWaitMs = 60_000;

/**
 * Does something until it works, five times at most without getting further.
 *
 * @param attempt gets a function to call when it got further than ever before; the count then starts again
 * @throws what is not {Passing} at once, else the last one
 */
export async function withRetries<Result>(
  { signal, firstWaitMs }: RetryOptions,
  attempt: (gotFurther: () => void) => Promise<Result>,
): Promise<Result> {
  let failures = 0;
  for (;;) {
    try {
      return await attempt(() => (failures = 0));
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      if (!(error instanceof Passing) || failures >= mostTries) throw error;
      const asked = error.waitMs ?? 0;
      if (asked > longestWaitMs) throw error;
      // Spread, so that machines that failed together do not come back together.
      const wait = Math.min(10_000, firstWaitMs * 3 ** (failures - 1)) * (0.75 + Math.random() / 2);
      await sleep(Math.max(asked, wait), undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** What `Retry-After` asks for, in ms: seconds or a date. @see RFC 9110 section 10.2.3 */
export function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
