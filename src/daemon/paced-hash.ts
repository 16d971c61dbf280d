import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../model/canonical.ts";

/** 0.2 ms of hashing at a time: what waits on the loop meanwhile does not notice. */
const sliceBytes = 256 * 1024;

/**
 * sha256 of a file, read no faster than asked for.
 *
 * @param bytesPerSecond `Infinity` for as fast as it goes, others taking their turn between slices
 */
export async function hashPaced(
  path: string,
  bytesPerSecond: number,
  signal: AbortSignal,
): Promise<{ readonly digest: Digest; readonly bytes: number }> {
  const file = await open(path, "r");
  try {
    const hash = createHash("sha256");
    const slice = Buffer.allocUnsafe(sliceBytes);
    const pauseMs = (1000 * sliceBytes) / bytesPerSecond;
    let bytes = 0;
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(slice, 0, sliceBytes, bytes);
      if (bytesRead === 0) return { digest: `sha256:${hash.digest("hex")}` as Digest, bytes };
      hash.update(slice.subarray(0, bytesRead));
      bytes += bytesRead;
      if (pauseMs >= 1) await sleep(pauseMs, undefined, { signal });
    }
  } finally {
    await file.close();
  }
}
