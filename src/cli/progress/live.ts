import { formatDuration } from "../../model/quantities.ts";
import type { Paint } from "../../render/paint.ts";
import { cutToWidth } from "../../render/width.ts";
import { fit, renderEnded } from "./step.ts";
import type { Renderer, RunningStep, Screen } from "./renderer.ts";

const frameMs = 100;
const wheel = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

/** For a terminal: steps that run stand at the bottom, one line each and its last line of output; those that ended stay above. */
export function createLiveRenderer(screen: Screen, paint: Paint): Renderer {
  let running: readonly RunningStep[] = [];
  let drawn = 0;
  let frame = 0;
  let timer: NodeJS.Timeout | undefined;

  const draw = (above: string): void => {
    const columns = Math.max(20, screen.columns || 80);
    const most = Math.max(1, Math.floor(((screen.rows || 24) - 2) / 2));
    const lines = running
      .slice(0, most)
      .flatMap((step) => [
        `${wheel[frame % wheel.length]} ${fit(step.step, step.text, elapsed(step), columns - 3, paint)}`,
        ...(step.last === "" ? [] : [paint.dim(`    ${cutToWidth(step.last, columns - 5)}`)]),
      ]);
    if (running.length > most) lines.push(paint.dim(`  and ${running.length - most} more`));
    const back = drawn === 0 ? "" : `\u001b[${drawn}A\u001b[0J`;
    const text = `${back}${above}${lines.map((line) => `${line}\n`).join("")}`;
    if (text !== "") screen.write(text);
    drawn = lines.length;
  };
  const print = (lines: readonly string[]): void => draw(lines.map((line) => `${line}\n`).join(""));

  return {
    started(step) {
      running = [...running, step];
      timer ??= setInterval(() => {
        frame += 1;
        draw("");
      }, frameMs).unref();
      draw("");
    },
    // The next frame shows it.
    output: () => undefined,
    ended(step, record, kept) {
      running = running.filter((one) => one !== step);
      print([renderEnded(record, Math.max(20, (screen.columns || 80) - 1), paint), ...kept]);
    },
    note: (text) => print([text]),
    end() {
      clearInterval(timer);
      timer = undefined;
      running = [];
      draw("");
    },
  };
}

function elapsed({ startedAt }: RunningStep): string {
  const ms = performance.now() - startedAt;
  // Tenths of a second are told when it is over.
  return ms < 1000 ? "" : formatDuration(Math.floor(ms / 1000) * 1000);
}
