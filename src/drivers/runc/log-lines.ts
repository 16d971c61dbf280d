export type LogStream = "stdout" | "stderr";

/** One line of a log file, as the supervisor writes it. */
export interface RawLogLine {
  /** RFC 3339 with nanoseconds. */
  readonly at: string;
  readonly stream: LogStream;
  /** The line goes on in the next one of the same stream. */
  readonly partial: boolean;
  readonly text: string;
}

/** `TIME STREAM F|P TEXT`; undefined for anything else. @see Kubernetes CRI log format */
export function parseLogLine(line: string): RawLogLine | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP]) (.*)$/s.exec(line);
  if (match === null) return undefined;
  const [, at = "", stream, tag, text = ""] = match;
  return { at, stream: stream as LogStream, partial: tag === "P", text };
}

/** A piece of output as lines of a log file; bytes stay as they are, also those that are not UTF-8. */
export function formatLogChunk(at: Date, stream: LogStream, chunk: Buffer): Buffer {
  const lines = chunk.toString("latin1").split("\n");
  const last = lines.pop() ?? "";
  const head = `${at.toISOString()} ${stream}`;
  const whole = lines.map((line) => `${head} F ${line}\n`).join("");
  return Buffer.from(last === "" ? whole : `${whole}${head} P ${last}\n`, "latin1");
}

const mostJoined = 256 * 1024;

/** Puts lines together that were written in pieces; a line of more than 256 Ki characters comes in pieces of that size. */
export interface LineJoiner {
  /** The lines that are whole with this one. */
  push(line: RawLogLine | undefined): readonly RawLogLine[];
  /** What was begun and not ended, as lines of their own: for when nothing comes any more. */
  rest(): readonly RawLogLine[];
}

export function joinPartial(): LineJoiner {
  const begun = new Map<string, RawLogLine>();
  return {
    push(line) {
      if (line === undefined) return [];
      const before = begun.get(line.stream);
      const whole = before === undefined ? line : { ...before, text: before.text + line.text, partial: line.partial };
      if (whole.partial && whole.text.length < mostJoined) {
        begun.set(line.stream, whole);
        return [];
      }
      begun.delete(line.stream);
      return [{ ...whole, partial: false }];
    },
    rest() {
      const left = [...begun.values()].map((line) => ({ ...line, partial: false }));
      begun.clear();
      return left;
    },
  };
}
