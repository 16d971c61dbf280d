import type { BuildEvent } from "../options.ts";

/** What a step came to. */
export interface StepEnd<Result> {
  readonly result: Result;
  /** True: nothing had to be done. */
  readonly cached?: boolean;
  /** More about it, on one line. */
  readonly text?: string;
}

/** Does work that is shown as one step of the build, however it ends. */
export async function asStep<Result>(
  report: (event: BuildEvent) => void,
  step: string,
  text: string,
  work: () => Promise<StepEnd<Result>>,
): Promise<Result> {
  const startedAt = performance.now();
  const end = (how: "done" | "cached" | "failed", more?: string): void =>
    report({
      kind: "ended",
      step,
      how,
      ms: performance.now() - startedAt,
      ...(more === undefined ? {} : { text: more }),
    });
  report({ kind: "started", step, text });
  try {
    const { result, cached, text: more } = await work();
    end(cached === true ? "cached" : "done", more);
    return result;
  } catch (error) {
    end("failed");
    throw error;
  }
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
