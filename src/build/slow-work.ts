import type { BuildEvent } from "./options.ts";

const slowMs = 1000;

/** Does work that is mostly too short for a line of its own: it becomes a step when it has lasted a second. */
export async function tellWhenSlow<Result>(
  report: (event: BuildEvent) => void,
  { step, text }: { readonly step: string; readonly text: string },
  work: () => Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now();
  let isTold = false;
  const timer = setTimeout(() => {
    isTold = true;
    report({ kind: "started", step, text });
  }, slowMs);
  const end = (how: "done" | "failed"): void => {
    clearTimeout(timer);
    if (isTold) report({ kind: "ended", step, how, ms: performance.now() - startedAt });
  };
  try {
    const result = await work();
    end("done");
    return result;
  } catch (error) {
    end("failed");
    throw error;
  }
}
