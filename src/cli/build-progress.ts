import type { BuildEvent } from "../build/options.ts";
import { printableLine } from "../errors/redact.ts";
import { createPaint } from "../render/paint.ts";
import { createKeptOutput, type KeptOutput } from "./progress/kept-output.ts";
import { createLineReader, type LineReader } from "./progress/lines.ts";
import { createLiveRenderer } from "./progress/live.ts";
import { createPlainRenderer } from "./progress/plain.ts";
import type { RunningStep, Screen } from "./progress/renderer.ts";
import { recordOf, type Ended, type StepRecord } from "./progress/step.ts";

export interface ProgressOptions {
  readonly screen: Screen;
  readonly env: { readonly [name: string]: string | undefined };
  /** `plain`: lines also on a terminal, with all output. */
  readonly style: "auto" | "plain";
  /** Where a failed step's output is kept when it is too long to show. */
  readonly logFolder: string;
}

/** Shows what a build is doing. */
export interface BuildProgress {
  report(event: BuildEvent): void;
  /** Stops showing; safe to call again. */
  end(): void;
  /** The steps that ended, in that order. */
  readonly steps: readonly StepRecord[];
}

interface Running extends RunningStep {
  last: string;
  readonly lines: LineReader;
  /** Only where output is not shown as it comes. */
  readonly kept: KeptOutput | undefined;
}

export function createBuildProgress({ screen, env, style, logFolder }: ProgressOptions): BuildProgress {
  const isLive = style === "auto" && screen.isTTY === true && env["TERM"] !== "dumb";
  const paint = createPaint(screen.isTTY === true, env);
  const renderer = isLive ? createLiveRenderer(screen, paint) : createPlainRenderer(screen, paint);
  const running = new Map<string, Running>();
  const steps: StepRecord[] = [];

  const start = (step: string, text: string): Running => {
    const one = {
      step: printableLine(step),
      text: printableLine(text),
      startedAt: performance.now(),
      last: "",
      lines: createLineReader(),
      kept: isLive ? createKeptOutput(logFolder) : undefined,
    };
    running.set(step, one);
    renderer.started(one);
    return one;
  };
  const show = (one: Running, lines: readonly string[]): void => {
    one.last = lines.findLast((line) => line.trim() !== "") ?? one.last;
    renderer.output(one, lines);
  };
  const end = (event: Ended): void => {
    const one = running.get(event.step) ?? start(event.step, "");
    running.delete(event.step);
    show(one, one.lines.end());
    const record = recordOf(one.text, event);
    steps.push(record);
    if (event.how !== "failed") one.kept?.forget();
    renderer.ended(one, record, event.how === "failed" && one.kept !== undefined ? outputOf(one.kept) : []);
  };

  return {
    steps,
    report(event) {
      switch (event.kind) {
        case "started":
          start(event.step, event.text);
          return;
        case "output": {
          const one = running.get(event.step);
          if (one === undefined) return;
          one.kept?.add(event.bytes);
          return show(one, one.lines.add(event.bytes));
        }
        case "progress": {
          const one = running.get(event.step);
          if (one !== undefined) one.last = printableLine(event.text);
          return;
        }
        case "ended":
          return end(event);
        case "note":
          return renderer.note(paint.dim(`  ${printableLine(event.text)}`));
      }
    },
    end() {
      for (const one of running.values()) one.kept?.forget();
      running.clear();
      renderer.end();
    },
  };
}

function outputOf(kept: KeptOutput): readonly string[] {
  const { bytes, file } = kept.keep();
  const reader = createLineReader();
  const lines = [...reader.add(bytes), ...reader.end()].map((line) => `    ${line}`);
  return file === undefined ? lines : [`    … the end of it; all of its output is in ${file}`, ...lines];
}
