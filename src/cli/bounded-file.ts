import { createReadStream } from "node:fs";

/**
 * A file that a person names, which may be a device or a pipe without an end and says nothing of its size then.
 *
 * @param signal ends waiting for what a pipe's other end has not said yet
 * @returns undefined where there is more than `mostBytes`
 * @throws what opening and reading throw; the signal's reason
 */
export async function readAtMost(path: string, mostBytes: number, signal?: AbortSignal): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    const stream = createReadStream(path, signal === undefined ? {} : { signal });
    for await (const piece of stream as AsyncIterable<Buffer>) {
      size += piece.byteLength;
      if (size > mostBytes) return undefined;
      pieces.push(piece);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
  return Buffer.concat(pieces);
}
