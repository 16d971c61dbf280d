import { formatDuration } from "../../model/quantities.ts";
import type { Paint } from "../../render/paint.ts";
import { renderEnded } from "./step.ts";
import type { Renderer, RunningStep, Screen } from "./renderer.ts";

const announceMs = 1000;

/** For logs: a line when a step takes longer or says something, its output with its name before each line, a line at its end. */
export function createPlainRenderer(screen: Screen, paint: Paint): Renderer {
  const waiting = new Map<RunningStep, NodeJS.Timeout>();
  const print = (text: string): void => void screen.write(`${text}\n`);
  const announce = (step: RunningStep): void => {
    const timer = waiting.get(step);
    if (timer === undefined) return;
    clearTimeout(timer);
    waiting.delete(step);
    print(`  ${paint.bold(step.step)}  ${step.text}`);
  };
  return {
    started(step) {
      waiting.set(step, setTimeout(() => announce(step), announceMs).unref());
    },
    output(step, lines) {
      if (lines.length === 0) return;
      announce(step);
      const at = formatDuration(performance.now() - step.startedAt);
      for (const line of lines) print(paint.dim(`  ${step.step} ${at} | ${line}`));
    },
    ended(step, record) {
      clearTimeout(waiting.get(step));
      waiting.delete(step);
      print(renderEnded(record, Number.POSITIVE_INFINITY, paint));
    },
    note: print,
    end() {
      for (const timer of waiting.values()) clearTimeout(timer);
      waiting.clear();
    },
  };
}
