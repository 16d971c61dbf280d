import { actText } from "./acts.ts";
import { faultText } from "./faults.ts";
import type { Run } from "./run-story.ts";
import type { Story } from "./story.ts";

const stamp = (atMs: number): string => `${(atMs / 1_000).toFixed(3).padStart(9)} s`;

/** What happens in a story besides what follows from it, one line each, in order. */
export function renderStory({ acts, faults }: Story): readonly string[] {
  const lines = [
    ...acts.map((act) => ({ atMs: act.atMs, text: `asked: ${actText(act)}` })),
    ...faults.map((fault) => ({ atMs: fault.atMs, text: `fault: ${faultText(fault)}` })),
  ];
  return lines.sort((a, b) => a.atMs - b.atMs).map(({ atMs, text }) => `${stamp(atMs)}  ${text}`);
}

/** A run that was told, as a timeline that ends with what did not hold. */
export function renderTimeline({ told, violation }: Pick<Run, "told" | "violation">): readonly string[] {
  const lines = told.map(({ atMs, text }) => `${stamp(atMs)}  ${text}`);
  if (violation === null) return [...lines, "every invariant held"];
  return [...lines, `${stamp(violation.atMs)}  BROKEN ${violation.invariant}: ${violation.finding}`];
}
