import { createHash } from "node:crypto";
import { chmodSync, constants, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { open, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { digestHex, sha256, type Digest } from "../model/canonical.ts";
import type { Blobs } from "../ports/store.ts";
import { refusedByDisk, syncFile, syncFolder } from "./durable.ts";
import { blobMissing, bytesLie, tooLarge, type Expected } from "./refusals.ts";
import { createTemporaries } from "./temporary.ts";

/** Bytes that come one piece after the other. */
type Pieces = Exclude<Parameters<Blobs["write"]>[0], Uint8Array>;

const defaultMaxBytes = 4 * 2 ** 20;
/** What is read without a thread: it takes less than a millisecond. */
const mostAtOnce = 2 ** 20;

/** Blobs in `blobs/sha256/HEX` of a folder; files are written in `tmp`, then renamed. */
export interface BlobFolder extends Blobs {
  /** Where the blobs are. */
  readonly folder: string;
  pathOf(digest: Digest): string;
  /** Writes a temporary file, then gives it its name in a folder; nothing remains when it fails. */
  place<Result>(
    fill: (file: FileHandle) => Promise<{ readonly target: string; readonly result: Result }>,
    folder: string,
  ): Promise<Result>;
  /** The same of a few bytes, which are at hand. */
  placeBytes(bytes: Uint8Array, target: string, folder: string): Promise<void>;
  /** A path in `tmp` that nobody has. */
  temporary(): Promise<string>;
}

/**
 * @param options.folders others below `dir` that are made with it
 * @param options.durable whether a write is on disk before it resolves; otherwise a power cut may leave wrong bytes
 */
export function createBlobFolder(
  dir: string,
  { durable, folders = [] }: { readonly durable: boolean; readonly folders?: readonly string[] },
): BlobFolder {
  const folder = join(dir, "blobs", "sha256");
  const temporaries = createTemporaries(join(dir, "tmp"), [folder, ...folders]);
  const pathOf = (digest: Digest): string => join(folder, digestHex(digest));

  // A call that waits: a thread would have to be woken for it, and a build asks two dozen times.
  const sizeOf = async (digest: Digest): Promise<number | undefined> =>
    statSync(pathOf(digest), { throwIfNoEntry: false })?.size;

  /** Manifests, configs and bundles: asking a thread takes longer than reading. */
  const bytesOf = async (digest: Digest, size: number): Promise<Buffer> =>
    size <= mostAtOnce ? readFileSync(pathOf(digest)) : readFile(pathOf(digest));

  const place: BlobFolder["place"] = async (fill, into) => {
    let path: string;
    let file: FileHandle;
    try {
      path = await temporaries.next();
      file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    } catch (error) {
      temporaries.forget();
      throw refusedByDisk(error, dir) ?? error;
    }
    try {
      const { target, result } = await fill(file);
      await file.chmod(0o444);
      if (durable) await file.sync();
      await file.close();
      await rename(path, target);
      if (durable) await syncFolder(into);
      return result;
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(path, { force: true });
      throw refusedByDisk(error, dir) ?? error;
    }
  };

  /** As `place`, without threads where nothing waits for the disk: each of five calls would wake one. */
  const placeBytes: BlobFolder["placeBytes"] = async (bytes, target, into) => {
    let path: string | undefined;
    try {
      path = await temporaries.next();
      writeFileSync(path, bytes, { flag: "wx", mode: 0o600 });
      chmodSync(path, 0o444);
      if (durable) await syncFile(path);
      renameSync(path, target);
      if (durable) await syncFolder(into);
    } catch (error) {
      if (path !== undefined) rmSync(path, { force: true });
      temporaries.forget();
      throw refusedByDisk(error, dir) ?? error;
    }
  };

  return {
    folder,
    pathOf,
    place,
    placeBytes,
    temporary: temporaries.next,
    stat: sizeOf,

    async read(digest, maxBytes = defaultMaxBytes) {
      const size = await sizeOf(digest);
      if (size === undefined) throw blobMissing(digest);
      if (size > maxBytes) throw tooLarge(digest, size, maxBytes);
      const bytes = await bytesOf(digest, size);
      if (sha256(bytes) !== digest) throw bytesLie(digest, sha256(bytes));
      return bytes;
    },

    async path(digest) {
      if ((await sizeOf(digest)) === undefined) throw blobMissing(digest);
      return pathOf(digest);
    },

    async write(source, expected) {
      if (source instanceof Uint8Array) {
        const digest = sha256(source);
        checkExpected(expected, digest, source.byteLength);
        const written = { digest, size: source.byteLength };
        // Small enough to be read: one that was damaged meanwhile is written anew.
        const there =
          (await sizeOf(digest)) === written.size
            ? await bytesOf(digest, written.size).catch(() => undefined)
            : undefined;
        if (there?.equals(source) === true) return written;
        if (written.size <= mostAtOnce) {
          await placeBytes(source, pathOf(digest), folder);
          return written;
        }
      } else if (source instanceof Readable) {
        // It may fail before it is read from, which then tells; unheard it would end the process.
        source.on("error", () => undefined);
      }
      return place(async (file) => {
        const { digest, size } =
          source instanceof Uint8Array
            ? await writeBytes(file, source)
            : await writePieces(file, source, expected?.size);
        checkExpected(expected, digest, size);
        return { target: pathOf(digest), result: { digest, size } };
      }, folder);
    },
  };
}

async function writeBytes(file: FileHandle, bytes: Uint8Array): Promise<{ digest: Digest; size: number }> {
  await file.writeFile(bytes);
  return { digest: sha256(bytes), size: bytes.byteLength };
}

/** While one piece is on its way to the disk, the next one is made and hashed. */
async function writePieces(
  file: FileHandle,
  source: Pieces,
  most: number | undefined,
): Promise<{ digest: Digest; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  let writing = Promise.resolve();
  try {
    for await (const piece of source) {
      size += piece.byteLength;
      if (most !== undefined && size > most) break;
      hash.update(piece);
      await writing;
      writing = writeAll(file, piece);
      // Whoever awaits it hears of a failure; until then it is nobody's.
      writing.catch(() => undefined);
    }
  } finally {
    // The file is not closed while something is written to it.
    await writing.catch(() => undefined);
  }
  await writing;
  return { digest: `sha256:${hash.digest("hex")}` as Digest, size };
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) at += (await file.write(bytes, at)).bytesWritten;
}

function checkExpected(expected: Expected | undefined, digest: Digest, size: number): void {
  if (expected === undefined) return;
  if (expected.digest !== digest || (expected.size !== undefined && expected.size !== size))
    throw bytesLie(expected.digest, digest, expected.size, size);
}
