import { printableLine } from "../../errors/redact.ts";
import type { NetworkUse } from "../../ports/step-runner.ts";
import type { BuildEvent } from "../options.ts";

export interface StepReport {
  /** Unique in the build: `2/5 of build`. */
  readonly name: string;
  readonly text: string;
}

/** A step while it is under way. */
export interface StepWork {
  readonly name: string;
  /** Waits for a free place, then works in it: only so many work at once. */
  busy<T>(work: () => Promise<T>): Promise<T>;
  /** Nothing had to be done. */
  cached(): void;
  network(use: NetworkUse): void;
  output(bytes: Buffer): void;
}

const longestText = 300;

/**
 * Reports steps and bounds how many work beside each other.
 *
 * @param places how many at once
 * @param signal ends those under way
 */
export function createSteps(
  report: (event: BuildEvent) => void,
  places: number,
  signal: AbortSignal,
): <T>(step: StepReport, work: (step: StepWork) => Promise<T>) => Promise<T> {
  let free = places;
  const waiting: (() => void)[] = [];
  const busy = async <T>(work: () => Promise<T>): Promise<T> => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free -= 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
  return async ({ name, text }, work) => {
    const startedAt = performance.now();
    let how: "done" | "cached" = "done";
    let use: NetworkUse | undefined;
    const ended = (as: "done" | "cached" | "failed" | "stopped"): void =>
      report({
        kind: "ended",
        step: name,
        how: as,
        ms: performance.now() - startedAt,
        ...(use === undefined ? {} : { network: use }),
      });
    report({ kind: "started", step: name, text: printableLine(text.replace(/\s+/g, " ")).slice(0, longestText) });
    try {
      const result = await work({
        name,
        busy,
        cached: () => void (how = "cached"),
        network: (counted) => void (use = counted),
        output: (bytes) => report({ kind: "output", step: name, bytes }),
      });
      ended(how);
      return result;
    } catch (error) {
      ended(signal.aborted ? "stopped" : "failed");
      throw error;
    }
  };
}
