import { printable } from "../errors/redact.ts";
import { createPaint, type Paint } from "../render/paint.ts";
import { cutToWidth } from "../render/width.ts";

/** Where a command's words go: results to stdout, progress and remarks to stderr. */
export interface Output {
  readonly json: boolean;
  readonly paint: Paint;
  /** A result for people; nothing with `--json`. */
  line(text: string): void;
  /** The one result of `--json`; nothing without. */
  record(value: unknown): void;
  /** Progress and remarks, on stderr. */
  note(text: string): void;
  /** What goes on now: a line under all others that is drawn over, on a terminal only; "": nothing does any more. */
  live(text: string): void;
  /** Whether `live` shows anything. */
  readonly isLive: boolean;
}

export interface Streams {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  readonly env: { readonly [name: string]: string | undefined };
}

export function createOutput(streams: Streams, json: boolean): Output {
  const { stdout, stderr, env } = streams;
  const isLive = stderr.isTTY === true && env["TERM"] !== "dumb";
  let living = "";
  const draw = (text: string): void => {
    // Back to the line's beginning, what is there erased.
    if (living !== "" || text !== "") stderr.write(`\r\u001b[K${text}`);
    living = text;
  };
  /** Writes something that stays, above the line that does not. */
  const above = (write: () => void): void => {
    const kept = living;
    draw("");
    write();
    draw(kept);
  };
  return {
    json,
    paint: createPaint(stdout.isTTY === true && !json, env),
    line: (text) => {
      if (!json) above(() => stdout.write(`${printableLine(text)}\n`));
    },
    record: (value) => {
      if (json) above(() => stdout.write(`${JSON.stringify(value)}\n`));
    },
    note: (text) => {
      above(() => stderr.write(`${printableLine(text)}\n`));
    },
    live: (text) => {
      if (isLive) draw(cutToWidth(printable(text), (stderr.columns ?? 80) - 1));
    },
    isLive,
  };
}

// oxlint-disable-next-line no-control-regex -- colours begin with the escape character
const colour = /(\u001b\[[0-9;]*m)/;

/** Control characters made visible, but for the colours that we put in ourselves. */
function printableLine(text: string): string {
  const parts = text.split(colour);
  return parts.map((part, index) => (index % 2 === 1 ? part : printable(part))).join("");
}
