import { printable } from "../errors/redact.ts";
import { createPaint, type Paint } from "../render/paint.ts";

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
}

export interface Streams {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly env: { readonly [name: string]: string | undefined };
}

export function createOutput(streams: Streams, json: boolean): Output {
  return {
    json,
    paint: createPaint(streams.stdout.isTTY === true && !json, streams.env),
    line: (text) => {
      if (!json) streams.stdout.write(`${printableLine(text)}\n`);
    },
    record: (value) => {
      if (json) streams.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note: (text) => {
      streams.stderr.write(`${printableLine(text)}\n`);
    },
  };
}

// oxlint-disable-next-line no-control-regex -- colours begin with the escape character
const colour = /(\u001b\[[0-9;]*m)/;

/** Control characters made visible, but for the colours that we put in ourselves. */
function printableLine(text: string): string {
  const parts = text.split(colour);
  return parts.map((part, index) => (index % 2 === 1 ? part : printable(part))).join("");
}
