import { setImmediate as nextTurn } from "node:timers/promises";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { availableParallelism } from "node:os";
import { constants, crc32, zstdCompress } from "node:zlib";
import { compressedLayerType, layerCompression } from "../../image/media-types.ts";
import { isDigest } from "../../model/canonical.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import { layerTar } from "./blob.ts";

/**
 * Bytes that each frame of zstd holds. Frames do not depend on each other, so as many are made at once as there are CPUs
 * and the bytes stay the same.
 */
const frameBytes = 8 * 2 ** 20;
const zstdLevel = 3;
const gzipLevel = 6;
/** RFC 1952: no flags, no time, no name, an operating system that is not known. */
const gzipHeader = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const gzipPieceBytes = 256 * 2 ** 10;

/**
 * A layer's compressed form, the same bytes on every machine; a layer that is compressed already is left as it is. The
 * digest of what is compressed, its diff_id, stays what it was.
 */
export async function compressLayer(
  blobs: Blobs,
  layer: Descriptor,
  compression: "gzip" | "zstd",
  { cache, signal }: { readonly cache: BuildCache; readonly signal: AbortSignal },
): Promise<Descriptor> {
  if (layerCompression(layer.mediaType) !== "none") return layer;
  const mediaType = compressedLayerType(compression);
  const key = { version: 1, layer: layer.digest, by: encoders[compression] };
  const known = (await cache.read("compressed", key)) as { digest?: unknown; size?: unknown } | undefined;
  if (typeof known?.digest === "string" && isDigest(known.digest) && (await blobs.stat(known.digest)) === known.size)
    return { mediaType, digest: known.digest, size: Number(known.size) };
  const tar = layerTar(blobs, layer);
  const made = compression === "zstd" ? zstdFrames(tar, signal) : gzip(tar, signal);
  const { digest, size } = await blobs.write(Readable.from(made, { objectMode: false }));
  await cache.write("compressed", key, { digest, size });
  return { mediaType, digest, size };
}

/** What decides the bytes. Another encoder gives other bytes, so what one made is not taken for another's. */
const encoders = {
  zstd: `zstd ${process.versions["zstd"] ?? ""} level ${zstdLevel}, frames of ${frameBytes}`,
  gzip: `pako 3 level ${gzipLevel}`,
} as const;

const compressFrame = promisify(zstdCompress);

async function* zstdFrames(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const running: Promise<Buffer>[] = [];
  const params = { [constants.ZSTD_c_compressionLevel]: zstdLevel, [constants.ZSTD_c_checksumFlag]: 1 };
  try {
    for await (const frame of inPieces(source, frameBytes)) {
      signal.throwIfAborted();
      running.push(compressFrame(frame, { params }));
      const first = running.length < Math.min(availableParallelism(), 4) ? undefined : running.shift();
      if (first !== undefined) yield await first;
    }
    for (let first = running.shift(); first !== undefined; first = running.shift()) yield await first;
  } finally {
    await Promise.allSettled(running);
  }
}

async function* gzip(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { Deflate } = await import("pako");
  const deflate = new Deflate({ level: gzipLevel, raw: true, chunkSize: gzipPieceBytes });
  const ready: Uint8Array[] = [];
  deflate.onData = (piece: Uint8Array) => void ready.push(piece);
  let sum = 0;
  let size = 0;
  yield gzipHeader;
  for await (const piece of inPieces(source, gzipPieceBytes)) {
    signal.throwIfAborted();
    sum = crc32(piece, sum);
    size += piece.byteLength;
    deflate.push(piece, false);
    for (const made of ready.splice(0)) yield Buffer.from(made);
    // Signals and progress get their turn.
    await nextTurn();
  }
  deflate.push(Buffer.alloc(0), true);
  for (const made of ready.splice(0)) yield Buffer.from(made);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(sum, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield trailer;
}

/** The same bytes in pieces of one size, but for the last: what is made of them must not depend on how they were read. */
async function* inPieces(source: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let piece = Buffer.allocUnsafe(size);
  let used = 0;
  for await (const bytes of source) {
    for (let at = 0; at < bytes.byteLength;) {
      const count = Math.min(bytes.byteLength - at, size - used);
      bytes.copy(piece, used, at, at + count);
      used += count;
      at += count;
      if (used < size) continue;
      yield piece;
      piece = Buffer.allocUnsafe(size);
      used = 0;
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}
