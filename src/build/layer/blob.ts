import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { OperatorError } from "../../errors/operator-error.ts";
import { layerCompression } from "../../image/media-types.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";

/**
 * A layer's tar bytes, decompressed where it is compressed.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` for a media type that is no layer's, `NOT_FOUND`
 */
export async function* layerTar(store: Blobs, layer: Descriptor): AsyncGenerator<Buffer> {
  yield* layerTarIn(await store.path(layer.digest), layer);
}

/** The same of a layer in a file. @throws {OperatorError} `VERIFICATION_FAILED` */
export async function* layerTarIn(path: string, layer: Descriptor): AsyncGenerator<Buffer> {
  const compression = layerCompression(layer.mediaType);
  if (compression === undefined) {
    throw new OperatorError(
      "VERIFICATION_FAILED",
      `Cannot read layer ${layer.digest}: its media type ${layer.mediaType} is not known`,
      {
        hint: "layers are tar archives, plain or compressed by gzip or zstd",
      },
    );
  }
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  if (compression === "none") {
    yield* file as AsyncIterable<Buffer>;
    return;
  }
  const { createGunzip, createZstdDecompress } = await import("node:zlib");
  const decompress =
    compression === "gzip" ? createGunzip({ chunkSize: 1 << 18 }) : createZstdDecompress({ chunkSize: 1 << 18 });
  file.on("error", (error) => decompress.destroy(error));
  try {
    yield* file.pipe(decompress) as AsyncIterable<Buffer>;
  } catch (cause) {
    if (
      typeof (cause as NodeJS.ErrnoException).code === "string" &&
      /^(Z_|ZSTD_)/.test((cause as NodeJS.ErrnoException).code ?? "")
    ) {
      throw new OperatorError(
        "VERIFICATION_FAILED",
        `Cannot decompress layer ${layer.digest}: its bytes are no ${compression}`,
        { hint: "get the image again from where it came from", cause },
      );
    }
    throw cause;
  } finally {
    file.destroy();
    decompress.destroy();
  }
}

/** Bytes made one piece after the other, as a stream that stops when `signal` does. */
export function streamOf(pieces: Iterable<Buffer>, signal: AbortSignal): Readable {
  return Readable.from(
    (function* () {
      for (const piece of pieces) {
        signal.throwIfAborted();
        yield piece;
      }
    })(),
    { objectMode: false },
  );
}
