import { formatDuration } from "../../model/quantities.ts";
import { createPaint, type Paint } from "../../render/paint.ts";

/** What the demo says: short lines, the same on a terminal and elsewhere. */
export interface Screen {
  readonly paint: Paint;
  line(text?: string): void;
  /** A new act, numbered. */
  act(title: string): void;
  /** Why something is done, or what was seen. */
  note(text: string): void;
  /** A command as a person would type it. */
  command(text: string): void;
  /** What a command wrote. */
  echo(text: string): void;
  /** Whether a promise held; one that did not makes the demo fail. */
  promise(held: boolean, text: string): void;
  /** Since the start. */
  elapsedMs(): number;
  /** Promises that did not hold. */
  broken(): readonly string[];
}

/** @param stream with `--json` standard error, so that standard output holds the one object */
export function createScreen(stream: NodeJS.WriteStream): Screen {
  const paint = createPaint(stream.isTTY === true, process.env);
  const startedAt = performance.now();
  const broken: string[] = [];
  let acts = 0;
  const line = (text = ""): void => void stream.write(`${text}\n`);
  return {
    paint,
    line,
    act: (title) => {
      acts += 1;
      line();
      line(
        `${paint.bold(`${acts}. ${title}`)}  ${paint.dim(`(${formatDuration(performance.now() - startedAt)} since the start)`)}`,
      );
    },
    note: (text) => line(`   ${text}`),
    command: (text) => line(`   ${paint.bold(`$ ${text}`)}`),
    echo: (text) => line(`   ${paint.dim("|")} ${text}`),
    promise: (held, text) => {
      if (!held) broken.push(text);
      line(`   ${held ? paint.good("held  ") : paint.bad("BROKEN")} ${text}`);
    },
    elapsedMs: () => performance.now() - startedAt,
    broken: () => broken,
  };
}
