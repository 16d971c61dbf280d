import { Readable } from "node:stream";

/** Bytes made one piece after the other, as a stream that stops when `signal` does. */
export function streamOf(pieces: Iterable<Buffer>, signal: AbortSignal): Readable {
  const checked = function* (): Generator<Buffer> {
    for (const piece of pieces) {
      signal.throwIfAborted();
      yield piece;
    }
  };
  return Readable.from(checked(), { objectMode: false });
}
