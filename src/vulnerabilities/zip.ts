import { readSync } from "node:fs";
import { crc32, inflateRawSync } from "node:zlib";
import { fromFdPromise, type Entry } from "yauzl";
import { Unusable } from "./unusable.ts";

const mostEntries = 3_000_000;
/** Text of this kind becomes a tenth of its size; what claims more is made to fill a disk or memory. */
const mostRatio = 100;
const freeOfRatioBytes = 256 * 2 ** 20;

/**
 * The JSON files of a zip archive, one at a time, each whole and as its checksum says.
 *
 * @param mostBytes of one file
 * @throws {Unusable} for an archive that is damaged, encrypted, holds archives, or would unpack to more than it plausibly can
 * @see PKWARE APPNOTE.TXT 6.3
 */
export async function* zippedJson(fd: number, fileBytes: number, mostBytes: number): AsyncGenerator<Buffer> {
  const archive = await fromFdPromise(fd, { autoClose: false, lazyEntries: true }).catch((error: unknown) => {
    throw new Unusable(`its zip archive cannot be read: ${(error as Error).message}`);
  });
  if (archive.entryCount > mostEntries) throw new Unusable(`it claims to hold ${archive.entryCount} files`);
  const mostPlain = Math.max(freeOfRatioBytes, fileBytes * mostRatio);
  let packed = 0;
  let plain = 0;
  try {
    for await (const entry of archive.eachEntry()) {
      if (entry.fileName.endsWith("/")) continue;
      check(entry, mostBytes);
      packed += entry.compressedSize;
      plain += entry.uncompressedSize;
      if (packed > fileBytes) throw new Unusable("the files of its zip archive lie over each other");
      if (plain > mostPlain) throw new Unusable(`it would unpack to more than ${mostRatio} times its size`);
      if (!entry.fileName.endsWith(".json")) continue;
      const { fileDataStart } = await archive.readLocalFileHeaderPromise(entry, { minimal: true });
      yield unpack(fd, entry, fileDataStart);
    }
  } catch (error) {
    if (error instanceof Unusable) throw error;
    throw new Unusable(`its zip archive is damaged: ${(error as Error).message}`);
  }
}

function check(entry: Entry, mostBytes: number): void {
  const { fileName } = entry;
  const named = JSON.stringify(fileName.slice(0, 100));
  if (/\.(zip|jar|gz|tgz|bz2|xz|zst|tar|7z)$/i.test(fileName)) throw new Unusable(`it holds another archive, ${named}`);
  if (entry.isEncrypted()) throw new Unusable(`${named} in it is encrypted`);
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8)
    throw new Unusable(`${named} in it is compressed by method ${entry.compressionMethod}, which is not supported`);
  if (entry.uncompressedSize > mostBytes || entry.compressedSize > mostBytes)
    throw new Unusable(`${named} in it has more than ${mostBytes} bytes`);
}

function unpack(fd: number, entry: Entry, start: number): Buffer {
  const packed = Buffer.allocUnsafe(entry.compressedSize);
  let read = 0;
  while (read < packed.length) {
    const got = readSync(fd, packed, read, packed.length - read, start + read);
    if (got === 0) throw new Error("it ends in the middle of a file");
    read += got;
  }
  const bytes =
    entry.compressionMethod === 0
      ? packed
      : inflateRawSync(packed, { maxOutputLength: Math.max(1, entry.uncompressedSize) });
  if (bytes.length !== entry.uncompressedSize || crc32(bytes) !== entry.crc32)
    throw new Error(`${JSON.stringify(entry.fileName.slice(0, 100))} is not what its checksum says`);
  return bytes;
}
