import type { StepRecord } from "./step.ts";

/** Where progress goes: a terminal says how large it is. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** A step under way. */
export interface RunningStep {
  readonly step: string;
  readonly text: string;
  /** By the clock of `performance.now`. */
  readonly startedAt: number;
  /** The last line of its output; "" where there is none. */
  readonly last: string;
}

/** How progress is shown. Texts are safe to print. */
export interface Renderer {
  started(step: RunningStep): void;
  output(step: RunningStep, lines: readonly string[]): void;
  /** @param kept lines of output to show after a failure, where they were not shown before */
  ended(step: RunningStep, record: StepRecord, kept: readonly string[]): void;
  note(text: string): void;
  /** Nothing moves any more. */
  end(): void;
}
