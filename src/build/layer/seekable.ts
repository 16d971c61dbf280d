import { close, open, read } from "node:fs";
import { promisify } from "node:util";
import { layerCompression } from "../../image/media-types.ts";
import { readTar, type TarBytes, type TarMember } from "../../image/tar-read.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";
import { layerTar } from "./blob.ts";

const pieceBytes = 128 << 10;
const readFrom = promisify(read);

/** The bytes of an open file from an offset on, of which those of a reader who skips them are not read. */
export function seekableBytes(file: number, from: number): TarBytes {
  let at = from;
  return {
    skip: (bytes) => (at += bytes),
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const piece = Buffer.allocUnsafeSlow(pieceBytes);
        const { bytesRead } = await readFrom(file, piece, 0, pieceBytes, at);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield piece.subarray(0, bytesRead);
      }
    },
  };
}

/** The members of a layer, for those who hardly look at contents: in a plain layer, these are jumped over. */
export async function* layerMembers(store: Blobs, layer: Descriptor): AsyncGenerator<TarMember> {
  if (layerCompression(layer.mediaType) !== "none") {
    yield* readTar(layerTar(store, layer));
    return;
  }
  const file = await promisify(open)(await store.path(layer.digest), "r");
  try {
    yield* readTar(seekableBytes(file, 0));
  } finally {
    await promisify(close)(file);
  }
}
