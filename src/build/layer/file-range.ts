import { closeSync, openSync, readSync } from "node:fs";
import { OperatorError } from "../../errors/operator-error.ts";
import type { LayerBytes } from "./contents.ts";

/** Bytes that lie in a file of the store or the cache, verified when it was written. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
  /** Equal names, equal bytes. */
  readonly name: string;
}

const pieceBytes = 1 << 20;

/** @throws {OperatorError} (its functions) `VERIFICATION_FAILED` when the file ends too early */
export function bytesOfRange(range: FileRange): LayerBytes {
  return {
    known: () => range.name,
    *read() {
      const descriptor = openSync(range.path, "r");
      try {
        const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, range.size));
        for (let done = 0; done < range.size;) {
          const wanted = Math.min(buffer.byteLength, range.size - done);
          done += readFully(descriptor, buffer, 0, wanted, range, done);
          yield buffer.subarray(0, wanted);
        }
      } finally {
        closeSync(descriptor);
      }
    },
    fill(target, at) {
      const descriptor = openSync(range.path, "r");
      try {
        readFully(descriptor, target, at, range.size, range, 0);
      } finally {
        closeSync(descriptor);
      }
    },
  };
}

function readFully(
  descriptor: number,
  target: Buffer,
  at: number,
  wanted: number,
  { offset, path }: FileRange,
  from: number,
): number {
  for (let done = 0; done < wanted;) {
    const count = readSync(descriptor, target, at + done, wanted - done, offset + from + done);
    if (count === 0)
      throw new OperatorError("VERIFICATION_FAILED", `Cannot read "${path}": it ends too early`, {
        hint: "build again with --no-cache",
      });
    done += count;
  }
  return wanted;
}
