import { fromBytePath, type TarEntry, type TarKind } from "./tar-entry.ts";

const typeFlag: { readonly [K in TarKind]: string } = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

const chunkBytes = 1 << 20;
const blockBytes = 512;
/** Where a header has the size of the content and the sum of its own bytes. */
const sizeAt = 124;
const sizeDigits = 11;
const sumAt = 148;
const slash = 0x2f;
const zeroBlocks = Buffer.alloc(2 * blockBytes);
const largestOctal = 0o77777777777;
const largestId = 0o7777777;

/** A member and where its bytes come from; only files have any. */
export interface TarSource {
  readonly entry: TarEntry;
  /** Yields exactly `entry.size` bytes. The writer copies each piece before it asks for the next. */
  readonly content?: () => Iterable<Uint8Array>;
  /** The same, for those who can write small files to where they are to be. */
  readonly bytes?: TarBytes;
}

export interface TarBytes {
  /** As `content`. */
  read(): Iterable<Uint8Array>;
  /**
   * For files of at most {@link mostFilledBytes}: writes exactly `entry.size` bytes into `target` from `at` on, and may
   * write one byte more behind them. @param offset of the first one, in the archive
   */
  fill(target: Buffer, at: number, offset: number): void;
}

/** Files up to this size are written by their `fill`. */
export const mostFilledBytes = 128 << 10;

/**
 * Writes an archive in pieces of about 1 MiB: ustar, a pax header only where a field does not fit, names of owners
 * empty, device numbers 0, two zero blocks at the end. The caller gives the order and unique paths.
 *
 * @param buffers what pieces are written into, by turns: a piece is valid until its buffer's next turn; absent: each is new
 * @throws {RangeError} when a content's length is not the size its entry gives
 * @see POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"
 */
export function* writeTar(sources: Iterable<TarSource>, buffers: readonly Buffer[] = []): Generator<Buffer> {
  let turn = 0;
  const nextChunk = (): Buffer => buffers[turn++ % buffers.length] ?? Buffer.allocUnsafe(chunkBytes);
  let chunk = nextChunk();
  let used = 0;
  /** Bytes of the pieces before. */
  let before = 0;
  function* flush(): Generator<Buffer> {
    yield chunk.subarray(0, used);
    before += used;
    chunk = nextChunk();
    used = 0;
  }
  function* append(bytes: Uint8Array): Generator<Buffer> {
    for (let from = 0; from < bytes.byteLength;) {
      const count = Math.min(bytes.byteLength - from, chunkBytes - used);
      chunk.set(bytes.subarray(from, from + count), used);
      used += count;
      from += count;
      if (used === chunkBytes) yield* flush();
    }
  }
  for (const { entry, content, bytes } of sources) {
    if (chunkBytes - used < blockBytes) yield* flush();
    if (putHeader(entry, chunk, used)) used += blockBytes;
    else yield* append(encodeHeader(entry));
    if (bytes !== undefined && entry.size <= mostFilledBytes) {
      // Content, padding and the byte more.
      if (chunkBytes - used < entry.size + blockBytes) yield* flush();
      bytes.fill(chunk, used, before + used);
      const end = used + entry.size;
      used = end + paddingOf(entry.size);
      zeroBlocks.copy(chunk, end, 0, used - end);
      continue;
    }
    const pieces = bytes?.read() ?? content?.();
    if (pieces === undefined) continue;
    let written = 0;
    for (const piece of pieces) {
      written += piece.byteLength;
      if (written > entry.size) break;
      yield* append(piece);
    }
    if (written !== entry.size)
      throw new RangeError(
        `"${fromBytePath(entry.path)}" has ${written > entry.size ? "more" : "fewer"} than ${entry.size} bytes`,
      );
    yield* append(zeroBlocks.subarray(0, paddingOf(entry.size)));
  }
  yield* append(zeroBlocks);
  if (used > 0) yield chunk.subarray(0, used);
}

/**
 * The same for a store, which needs no piece longer than until it asks for the one after the next.
 *
 * @throws {unknown} the signal's reason, between two pieces
 */
export function* tarPieces(sources: Iterable<TarSource>, signal: AbortSignal): Generator<Buffer> {
  const buffers = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)];
  for (const piece of writeTar(sources, buffers)) {
    signal.throwIfAborted();
    yield piece;
  }
}

/** Bytes that fill content of this size up to a block. */
export function paddingOf(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

/** The header blocks of one member, with its pax header where one is needed. */
export function encodeHeader(entry: TarEntry): Buffer {
  const records: [key: string, value: string][] = [];
  const path = entry.kind === "directory" ? `${entry.path}/` : entry.path;
  const split = splitPath(path);
  if (split === undefined) records.push(["path", path]);
  if (entry.target.length > 100) records.push(["linkpath", entry.target]);
  if (entry.size > largestOctal) records.push(["size", String(entry.size)]);
  if (entry.uid > largestId) records.push(["uid", String(entry.uid)]);
  if (entry.gid > largestId) records.push(["gid", String(entry.gid)]);
  if (entry.mtime > largestOctal || entry.mtime < 0) records.push(["mtime", String(entry.mtime)]);
  for (const [name, value] of Object.entries(entry.attributes ?? {})) records.push([`SCHILY.xattr.${name}`, value]);
  const block = encodeBlock(entry, split ?? { prefix: "", name: path.slice(0, 100) }, typeFlag[entry.kind]);
  if (records.length === 0) return block;
  const body = Buffer.from(
    records
      .sort((a, b) => (a[0] < b[0] ? -1 : 1))
      .map(([key, value]) => paxRecord(key, value))
      .join(""),
    "latin1",
  );
  const header = { ...entry, size: body.byteLength, mode: 0o644, uid: 0, gid: 0, mtime: 0, target: "" };
  return Buffer.concat([
    encodeBlock(header, { prefix: "", name: "././@PaxHeader" }, "x"),
    body,
    zeroBlocks.subarray(0, paddingOf(body.byteLength)),
    block,
  ]);
}

interface SplitPath {
  readonly prefix: string;
  readonly name: string;
}

function splitPath(path: string): SplitPath | undefined {
  if (path.length <= 100) return { prefix: "", name: path };
  if (path.length > 256) return undefined;
  const slash = path.indexOf("/", path.length - 101);
  if (slash < 1 || slash > 155 || slash === path.length - 1) return undefined;
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
}

function encodeBlock(entry: TarEntry, path: SplitPath, flag: string): Buffer {
  const block = Buffer.alloc(blockBytes);
  putBlock(block, 0, entry, path, flag);
  return block;
}

/** A header's block without name and size, and the sum of its bytes. */
interface Template {
  readonly entry: TarEntry;
  readonly block: Buffer;
  readonly sum: number;
}

let template: Template | undefined;

/** Most members differ from the one before in name and size only: the rest is copied. */
function templateFor(entry: TarEntry): Template {
  const last = template?.entry;
  if (
    template !== undefined &&
    last?.kind === entry.kind &&
    last.mode === entry.mode &&
    last.uid === entry.uid &&
    last.gid === entry.gid &&
    last.mtime === entry.mtime &&
    last.target === entry.target
  )
    return template;
  const block = encodeBlock({ ...entry, size: 0 }, { prefix: "", name: "" }, typeFlag[entry.kind]);
  block.fill(0, sizeAt, sizeAt + sizeDigits);
  block.fill(" ", sumAt, sumAt + 8);
  let sum = 0;
  for (const byte of block) sum += byte;
  return (template = { entry, block, sum });
}

/** Writes a header of one block. @returns false where the entry needs a pax header: nothing was written */
function putHeader(entry: TarEntry, target: Buffer, at: number): boolean {
  const { path, size } = entry;
  const isDirectory = entry.kind === "directory";
  if (
    path.length + Number(isDirectory) > 100 ||
    entry.target.length > 100 ||
    size > largestOctal ||
    entry.uid > largestId ||
    entry.gid > largestId ||
    entry.mtime > largestOctal ||
    entry.mtime < 0 ||
    entry.attributes !== undefined
  )
    return false;
  const { block, sum } = templateFor(entry);
  block.copy(target, at);
  let total = sum;
  for (let i = 0; i < path.length; i++) {
    const byte = path.charCodeAt(i) & 0xff;
    target[at + i] = byte;
    total += byte;
  }
  if (isDirectory) {
    target[at + path.length] = slash;
    total += slash;
  }
  octal(target, at + sizeAt, sizeDigits, size);
  for (let i = at + sizeAt; i < at + sizeAt + sizeDigits; i++) total += target[i] as number;
  octal(target, at + sumAt, 6, total);
  target[at + sumAt + 6] = 0;
  return true;
}

/** @param target holds zeros where the block is to be */
function putBlock(target: Buffer, at: number, entry: TarEntry, path: SplitPath, flag: string): void {
  target.write(path.name, at, 100, "latin1");
  octal(target, at + 100, 7, entry.mode & 0o7777);
  octal(target, at + 108, 7, Math.min(entry.uid, largestId));
  octal(target, at + 116, 7, Math.min(entry.gid, largestId));
  octal(target, at + sizeAt, sizeDigits, entry.size > largestOctal ? 0 : entry.size);
  octal(target, at + 136, 11, Math.max(0, Math.min(entry.mtime, largestOctal)));
  target.fill(" ", at + sumAt, at + sumAt + 8);
  target[at + 156] = flag.charCodeAt(0);
  if (entry.target !== "") target.write(entry.target, at + 157, 100, "latin1");
  target.write("ustar\x0000", at + 257, 8, "latin1");
  octal(target, at + 329, 7, 0);
  octal(target, at + 337, 7, 0);
  if (path.prefix !== "") target.write(path.prefix, at + 345, 155, "latin1");
  let sum = 0;
  for (let i = at; i < at + blockBytes; i++) sum += target[i] as number;
  octal(target, at + sumAt, 6, sum);
  target[at + sumAt + 6] = 0;
}

/** Writes a number in octal digits, with zeros before it. */
function octal(target: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  let i = at + digits - 1;
  // Beyond 32 bits there are no shifts.
  for (; rest > 0x7fffffff; i--) {
    target[i] = 48 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  for (; i >= at; i--) {
    target[i] = 48 + (rest & 7);
    rest >>= 3;
  }
}

function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}
