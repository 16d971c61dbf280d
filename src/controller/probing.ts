import type { Clock } from "../ports/clock.ts";
import type { Prober, ProbeResult, ProbeTarget } from "../ports/prober.ts";
import { probeTimeoutMs } from "../rollout/health.ts";

export interface ProbingOptions {
  readonly prober: Prober;
  readonly clock: Clock;
  /** What is asked now; undefined: nothing any more. */
  readonly target: () => ProbeTarget | undefined;
  /** @returns time until it is asked again, in ms; undefined: it is not */
  readonly onAnswer: (result: ProbeResult) => number | undefined;
}

/**
 * Asks one instance how it is, at once and again and again. There are many, and each is asked often: what each question
 * needs is made once.
 *
 * @returns the way to end it; an answer that is on its way is not told any more
 */
export function keepProbing({ prober, clock, target, onAnswer }: ProbingOptions): () => void {
  let isOver = false;
  let cancel = (): void => {};
  const ask = (): void => {
    const asked = target();
    if (asked !== undefined) void prober.probe(asked, probeTimeoutMs).then(hear);
  };
  const hear = (result: ProbeResult): void => {
    const againMs = isOver ? undefined : onAnswer(result);
    // Told to end by what followed from its answer.
    if (againMs !== undefined && !isOver) cancel = clock.after(againMs, ask);
  };
  ask();
  return () => {
    isOver = true;
    cancel();
  };
}
