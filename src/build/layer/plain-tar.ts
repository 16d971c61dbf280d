import { Readable } from "node:stream";
import { layerCompression } from "../../image/media-types.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { Blobs } from "../../ports/store.ts";
import { mostUnpackedBytes } from "../../image/tar-read.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { layerTar } from "./blob.ts";

/**
 * A file with a layer's plain tar, in which members can be read from their offset. What a compressed layer unpacks to is
 * kept among the blobs, verified against its diff_id.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED`, `NOT_FOUND`, `DISK_FULL`
 */
export async function plainTar(blobs: Blobs, layer: StepLayer, signal: AbortSignal): Promise<string> {
  const { descriptor, diffId } = layer;
  if (layerCompression(descriptor.mediaType) === "none") return blobs.path(descriptor.digest);
  if ((await blobs.stat(diffId)) === undefined) {
    const most = mostUnpackedBytes(descriptor.size);
    const bytes = Readable.from(bounded(layerTar(blobs, descriptor), most, descriptor.digest, signal), {
      objectMode: false,
    });
    await blobs.write(bytes, { digest: diffId });
  }
  return blobs.path(diffId);
}

async function* bounded(
  source: AsyncIterable<Buffer>,
  most: number,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let total = 0;
  for await (const piece of source) {
    signal.throwIfAborted();
    total += piece.byteLength;
    if (total > most)
      throw new OperatorError(
        "VERIFICATION_FAILED",
        `Cannot take layer ${name}: it unpacks to more than ${most} bytes`,
        {
          hint: "this is no genuine image",
        },
      );
    yield piece;
  }
}
