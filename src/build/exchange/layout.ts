import { createReadStream } from "node:fs";
import { lstat, open, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath, parentOf } from "../../image/tar-entry.ts";
import { mostUnpackedBytes, readTar } from "../../image/tar-read.ts";
import { digestHex, isDigest, type Digest } from "../../model/canonical.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";

/** An image's files, from a folder or an archive, by their path in it. */
export interface Layout {
  /** A small file's bytes, or undefined where there is none. */
  read(path: string): Promise<Buffer | undefined>;
  /** Puts a blob into the store. @throws `VERIFICATION_FAILED` unless it is what its descriptor says */
  take(descriptor: Descriptor): Promise<void>;
  /** Puts a file of any name into the store. */
  takeFile(path: string): Promise<{ readonly digest: Digest; readonly size: number }>;
}

/** What the file system answers where a layout names what is not there. */
const missing: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"]);
const mostBytes = 4 * 2 ** 20;
const archiveLimits = { entries: 10_000, bytes: 64 * 2 ** 30 };

/** @throws {OperatorError} `NOT_FOUND`, `VERIFICATION_FAILED` */
export async function openLayout(path: string, store: Blobs, signal: AbortSignal): Promise<Layout> {
  let stats;
  try {
    stats = await stat(path);
  } catch (cause) {
    throw new OperatorError("NOT_FOUND", `Cannot import "${path}": it does not exist`, {
      hint: "give an OCI layout folder, an OCI archive or what docker save writes",
      cause,
    });
  }
  if (stats.isDirectory()) return folderLayout(await realpath(path), store, signal);
  if (stats.isFile()) return archiveLayout(path, stats.size, store, signal);
  throw new OperatorError("ARGUMENT_INVALID", `Cannot import "${path}": it is neither a folder nor a file`, {
    hint: "give an OCI layout folder, an OCI archive or what docker save writes; a pipe has to be saved to a file first",
  });
}

function folderLayout(dir: string, store: Blobs, signal: AbortSignal): Layout {
  const locate = async (path: string): Promise<{ location: string; size: number } | undefined> => {
    try {
      // A layout may hold links, as what docker save wrote does; none leads out of it.
      const location = await realpath(join(dir, path));
      if (!location.startsWith(`${dir}/`)) return undefined;
      const stats = await lstat(location);
      return stats.isFile() ? { location, size: stats.size } : undefined;
    } catch (error) {
      if (missing.has((error as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw error;
    }
  };
  const need = async (path: string): Promise<{ location: string; size: number }> => {
    const found = await locate(path);
    if (found === undefined)
      throw new OperatorError("VERIFICATION_FAILED", `Cannot import "${dir}": "${path}" is missing in it`, {
        hint: "the layout is incomplete; export it again",
      });
    return found;
  };
  const stream = (location: string): Readable => createReadStream(location, { signal, highWaterMark: 1 << 20 });
  return {
    async read(path) {
      const found = await locate(path);
      if (found === undefined) return undefined;
      if (found.size > mostBytes)
        throw new OperatorError("VERIFICATION_FAILED", `Cannot import "${dir}": "${path}" has ${found.size} bytes`, {
          hint: "this is no genuine layout",
        });
      return readFile(found.location);
    },
    async take(descriptor) {
      if ((await store.stat(descriptor.digest)) === descriptor.size) return;
      const found = await need(`blobs/sha256/${digestHex(descriptor.digest)}`);
      await store.write(stream(found.location), { digest: descriptor.digest, size: descriptor.size });
    },
    async takeFile(path) {
      return store.write(stream((await need(path)).location));
    },
  };
}

/** An archive is read once, front to back: its files become blobs at once, as an index may come after them. */
async function archiveLayout(file: string, size: number, store: Blobs, signal: AbortSignal): Promise<Layout> {
  const files = new Map<string, { digest: Digest; size: number }>();
  const links = new Map<string, string>();
  for await (const { entry, content } of readTar(openArchive(file, size, signal), archiveLimits)) {
    const path = fromBytePath(entry.path);
    const again = files.has(path) || links.has(path);
    // The same bytes twice are a waste, two indexes a riddle.
    if (again && !path.startsWith("blobs/")) throw damaged(file, `"${path.slice(0, 200)}" is there twice`);
    if (entry.kind === "symlink")
      links.set(path, join("/", fromBytePath(parentOf(entry.path)), fromBytePath(entry.target)).slice(1));
    if (entry.kind === "hardlink") links.set(path, fromBytePath(entry.target));
    if (entry.kind !== "file") continue;
    const named = `sha256:${/^blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1] ?? ""}`;
    const expected = isDigest(named) ? { digest: named, size: entry.size } : undefined;
    files.set(path, await store.write(Readable.from(content(), { objectMode: false }), expected));
  }
  const find = (path: string): { digest: Digest; size: number } | undefined => {
    let at = path;
    for (let hops = 0; hops < 10; hops++) {
      const found = files.get(at);
      const next = links.get(at);
      if (found !== undefined || next === undefined) return found;
      at = next;
    }
    return undefined;
  };
  return {
    async read(path) {
      const found = find(path);
      return found === undefined ? undefined : store.read(found.digest);
    },
    async take(descriptor) {
      const size = await store.stat(descriptor.digest);
      if (size === descriptor.size) return;
      const state =
        size === undefined ? "is missing in it" : `has ${size} bytes, its descriptor says ${descriptor.size}`;
      throw new OperatorError("VERIFICATION_FAILED", `Cannot import "${file}": ${descriptor.digest} ${state}`, {
        hint: "the archive is damaged; export it again",
      });
    },
    async takeFile(path) {
      const found = find(path);
      if (found !== undefined) return found;
      throw new OperatorError("VERIFICATION_FAILED", `Cannot import "${file}": "${path}" is missing in it`, {
        hint: "the archive is incomplete; export it again",
      });
    },
  };
}

/** The bytes of an archive, decompressed where gzip made it. */
async function* openArchive(file: string, size: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const handle = await open(file, "r");
  const start = Buffer.alloc(2);
  try {
    await handle.read(start, 0, 2, 0);
  } finally {
    await handle.close();
  }
  const bytes = createReadStream(file, { signal, highWaterMark: 1 << 20 });
  if (start.readUInt16BE(0) !== 0x1f8b) return yield* bytes as AsyncIterable<Buffer>;
  const unzipped = createGunzip({ chunkSize: 1 << 18 });
  bytes.on("error", (error) => unzipped.destroy(error));
  const most = mostUnpackedBytes(size);
  let total = 0;
  try {
    for await (const piece of bytes.pipe(unzipped) as AsyncIterable<Buffer>) {
      total += piece.byteLength;
      if (total > most) throw damaged(file, `its ${size} bytes unpack to more than ${most}`);
      yield piece;
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof OperatorError || code?.startsWith("Z_") !== true) throw cause;
    throw damaged(file, "its bytes are no gzip", cause);
  } finally {
    bytes.destroy();
    unzipped.destroy();
  }
}

function damaged(file: string, state: string, cause?: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot import "${file}": ${state}`, {
    hint: "the archive is damaged or made to do harm; export it again",
    cause,
  });
}
