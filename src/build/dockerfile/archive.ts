import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable } from "node:stream";
import { OperatorError } from "../../errors/operator-error.ts";
import { mediaTypes } from "../../image/media-types.ts";
import { isTarHeader, mostUnpackedBytes } from "../../image/tar-read.ts";
import { isDigest } from "../../model/canonical.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { LayerBytes } from "../layer/contents.ts";
import { openImageTree, type ImageTreeOptions } from "../layer/image-tree.ts";
import type { SourceTree } from "../layer/source-tree.ts";

type Compression = "none" | "gzip" | "zstd" | "xz" | "bzip2";

const marks: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
];

/** A file that may be an archive. */
export interface ArchiveFile {
  /** For messages. */
  readonly name: string;
  readonly bytes: LayerBytes;
  readonly size: number;
}

/**
 * The files of a tar archive, plain or compressed; undefined where the file is none. It may be hostile: whatever a layer
 * may not hold is refused, by member.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED`, `MACHINE_LACKS` without xz or bzip2, `DISK_FULL`
 */
export async function openArchive(file: ArchiveFile, options: ImageTreeOptions): Promise<SourceTree | undefined> {
  const layer = await unpackArchive(file, options);
  if (layer === undefined) return undefined;
  try {
    return await openImageTree([layer], { ...options, whiteouts: false });
  } catch (error) {
    if (!(error instanceof OperatorError) || error.code !== "VERIFICATION_FAILED") throw error;
    throw new OperatorError(error.code, `Cannot unpack "${file.name}": ${error.message.replace(/^[^:]*: /, "")}`, {
      hint: error.hint,
      cause: error.cause,
    });
  }
}

/** The plain tar among the blobs. Found again by the file's content. */
async function unpackArchive(file: ArchiveFile, options: ImageTreeOptions): Promise<StepLayer | undefined> {
  const { blobs, cache, signal } = options;
  const compression = compressionOf(firstBytes(file.bytes));
  if (compression === "none" && !isTarHeader(firstBytes(file.bytes))) return undefined;
  if (file.bytes.known() === undefined) for (const _ of file.bytes.read()) signal.throwIfAborted();
  const key = { version: 1, content: Buffer.from(file.bytes.known() ?? "", "latin1").toString("hex") };
  const known = (await cache.read("archives", key)) as { digest?: unknown; size?: unknown } | null | undefined;
  if (known === null) return undefined;
  if (typeof known?.digest === "string" && isDigest(known.digest) && (await blobs.stat(known.digest)) === known.size)
    return plainLayer(known.digest, Number(known.size));
  const pieces = decompress(file, compression, signal);
  const head = await pieces.next();
  if (head.done === true || !isTarHeader(head.value)) {
    await pieces.return(undefined);
    await cache.write("archives", key, null);
    return undefined;
  }
  const most = mostUnpackedBytes(file.size);
  const written = await blobs.write(Readable.from(bounded(head.value, pieces, most, file.name), { objectMode: false }));
  await cache.write("archives", key, { digest: written.digest, size: written.size });
  return plainLayer(written.digest, written.size);
}

function plainLayer(digest: StepLayer["diffId"], size: number): StepLayer {
  return { descriptor: { mediaType: mediaTypes.layer, digest, size }, diffId: digest };
}

function firstBytes(bytes: LayerBytes): Buffer {
  for (const piece of bytes.read()) return Buffer.from(piece.subarray(0, 512));
  return Buffer.alloc(0);
}

function compressionOf(head: Buffer): Compression {
  return marks.find(([, mark]) => mark.every((byte, i) => head[i] === byte))?.[0] ?? "none";
}

/** The bytes of a file without their compression; the first piece has at least 512, where there are as many. */
async function* decompress(file: ArchiveFile, compression: Compression, signal: AbortSignal): AsyncGenerator<Buffer> {
  const source = Readable.from(copies(file.bytes), { objectMode: false, signal });
  const pieces =
    compression === "none" ? (source as AsyncIterable<Buffer>) : unpacked(file.name, source, compression, signal);
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const piece of pieces) {
    if (head === undefined) yield piece;
    else {
      head = Buffer.concat([head, piece]);
      if (head.byteLength < 512) continue;
      yield head;
      head = undefined;
    }
  }
  if (head !== undefined) yield head;
}

function* copies(bytes: LayerBytes): Generator<Buffer> {
  for (const piece of bytes.read()) yield Buffer.from(piece);
}

async function* unpacked(
  name: string,
  source: Readable,
  compression: Exclude<Compression, "none">,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  if (compression === "xz" || compression === "bzip2") return yield* byProgram(name, source, compression, signal);
  const { createGunzip, createZstdDecompress } = await import("node:zlib");
  const stream = compression === "gzip" ? createGunzip() : createZstdDecompress();
  source.on("error", (error) => stream.destroy(error));
  try {
    yield* source.pipe(stream) as AsyncIterable<Buffer>;
  } catch (cause) {
    if (!/^(Z_|ZSTD_)/.test(String((cause as NodeJS.ErrnoException).code))) throw cause;
    throw damaged(name, compression, cause);
  } finally {
    source.destroy();
    stream.destroy();
  }
}

async function* byProgram(
  name: string,
  source: Readable,
  program: "xz" | "bzip2",
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const child = spawn(program, ["-dc"], { stdio: ["pipe", "pipe", "pipe"], signal });
  let said = "";
  child.stderr.on("data", (piece: Buffer) => (said = `${said}${piece.toString("utf8")}`.slice(0, 2000)));
  // It ends early where its input is damaged; its status tells.
  child.stdin.on("error", () => source.destroy());
  const ended = once(child, "close").then(
    ([status]) => ({ status: Number(status ?? 1), error: undefined }),
    (error: unknown) => ({ status: 1, error: error as NodeJS.ErrnoException }),
  );
  source.pipe(child.stdin);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const { status, error } = await ended;
    if (error?.code === "ENOENT")
      throw new OperatorError("MACHINE_LACKS", `Cannot unpack "${name}": there is no program ${program}`, {
        hint: `install it: apt-get install ${program === "xz" ? "xz-utils" : "bzip2"}`,
      });
    if (error !== undefined) throw error;
    if (status !== 0) throw damaged(name, program, new Error(said.trim()));
  } finally {
    source.destroy();
    child.kill("SIGKILL");
  }
}

async function* bounded(
  head: Buffer,
  pieces: AsyncIterable<Buffer>,
  most: number,
  name: string,
): AsyncGenerator<Buffer> {
  let total = head.byteLength;
  yield head;
  for await (const piece of pieces) {
    total += piece.byteLength;
    if (total > most)
      throw new OperatorError("VERIFICATION_FAILED", `Cannot unpack "${name}": it unpacks to more than ${most} bytes`, {
        hint: "an archive like that was made to fill a disk",
      });
    yield piece;
  }
}

function damaged(name: string, compression: string, cause: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot unpack "${name}": its bytes are no ${compression}`, {
    hint: "the archive is damaged; get it again from where it came from",
    cause,
  });
}
