import { createHash } from "node:crypto";
import { digestHex, sha256, type Digest } from "../../model/canonical.ts";
import type { BytePath } from "../../image/tar-entry.ts";
import { checkoutMode } from "../layer/compose.ts";
import { readPieces } from "../layer/contents.ts";
import type { FoundFile } from "../layer/walk.ts";
import type { ReadFact } from "./recorder.ts";

/**
 * A file of the project that a build used. Paths are bytes, one character a byte. A file has the sha256 of its content, its
 * size and whether it is executable; one of several names of a file (`hardlink`) says the first of them.
 */
export type ContextRow =
  | readonly ["file", path: BytePath, content: string, size: number, executable: 0 | 1]
  | readonly ["hardlink" | "symlink", path: BytePath, target: string]
  | readonly ["directory", path: BytePath];

/** What of the project went into a build. There may be a million files: rows are made as they are asked for. */
export interface ContextList {
  /** Of the list as it is written. */
  readonly digest: Digest;
  readonly size: number;
  /** The list as it is written. */
  pieces(): Iterable<Buffer>;
  /** Paths of what is a file, also by a second name; some may come twice. */
  filePaths(): Iterable<BytePath>;
}

/** What a list of used files begins with: its form may change. */
const version = 1;
const pieceLength = 1 << 20;

/** Lists what a build used of the project, the same for equal files wherever and whenever they were checked out. */
export function listContext(files: readonly FoundFile[], read: readonly ReadFact[]): ContextList {
  const sorted = files
    .filter(({ path }) => path !== "")
    .sort(({ path: a }, { path: b }) => (a < b ? -1 : a > b ? 1 : 0));
  const rows = (): Iterable<ContextRow> => merged(rowsOf(sorted), rowsOfRead(read));
  const sum = createHash("sha256");
  let size = 0;
  let first: Buffer | undefined;
  for (const piece of piecesOf(rows())) {
    sum.update(piece);
    first ??= piece;
    size += piece.byteLength;
  }
  // Mostly there is one piece, which is not made twice.
  const whole = first?.byteLength === size ? [first] : undefined;
  return {
    digest: `sha256:${sum.digest("hex")}` as Digest,
    size,
    pieces: () => whole ?? piecesOf(rows()),
    filePaths: () => filePathsOf(sorted, read),
  };
}

function* filePathsOf(sorted: readonly FoundFile[], read: readonly ReadFact[]): Generator<BytePath> {
  for (const { kind, path } of sorted) if (kind === "file") yield path;
  for (const { path } of read) yield Buffer.from(path).toString("latin1");
}

/** @param sorted by path; a path that is there twice is told once, as it was found last */
function* rowsOf(sorted: readonly FoundFile[]): Generator<ContextRow> {
  const inodes = new Map<string, BytePath>();
  for (const [index, file] of sorted.entries()) {
    const { path } = file;
    if (sorted[index + 1]?.path === path) continue;
    if (file.kind === "directory") yield ["directory", path];
    else if (file.kind === "symlink") yield ["symlink", path, file.target];
    else if (file.kind === "file") {
      const first = file.inode === undefined ? undefined : inodes.get(file.inode);
      if (first !== undefined) {
        yield ["hardlink", path, first];
        continue;
      }
      if (file.inode !== undefined) inodes.set(file.inode, path);
      yield ["file", path, contentOf(file), file.size, checkoutMode(file.mode) === 0o755 ? 1 : 0];
    }
  }
}

function rowsOfRead(read: readonly ReadFact[]): readonly ContextRow[] {
  return read
    .map(({ path, bytes }): ContextRow => {
      return ["file", Buffer.from(path).toString("latin1"), digestHex(sha256(bytes)), bytes.byteLength, 0];
    })
    .sort(([, a], [, b]) => (a < b ? -1 : 1));
}

/** Rows by path, those of `first` where both have one. */
function* merged(first: Iterable<ContextRow>, others: readonly ContextRow[]): Generator<ContextRow> {
  let next = 0;
  for (const row of first) {
    for (let other = others[next]; other !== undefined && other[1] <= row[1]; other = others[(next += 1)])
      if (other[1] < row[1]) yield other;
    yield row;
  }
  yield* others.slice(next);
}

function* piecesOf(rows: Iterable<ContextRow>): Generator<Buffer> {
  let text = `{"version":${version},"files":[`;
  let isFirst = true;
  for (const row of rows) {
    text += isFirst ? JSON.stringify(row) : `,${JSON.stringify(row)}`;
    isFirst = false;
    if (text.length < pieceLength) continue;
    yield Buffer.from(text);
    text = "";
  }
  yield Buffer.from(`${text}]}`);
}

/** sha256 of a file's content in hex; it was read when it went into a layer. */
export function contentOf(file: FoundFile): string {
  if (file.content !== undefined) return hexOf(file.content);
  const sum = createHash("sha256");
  for (const piece of readPieces(file)) sum.update(piece);
  return sum.digest("hex");
}

/** @param sum sha256, one character a byte, as files have it */
export function hexOf(sum: string): string {
  scratch.write(sum, 0, "latin1");
  return scratch.toString("hex");
}

/** A buffer of its own for each of many files would take longer than what is done with it. */
const scratch = Buffer.alloc(32);

/** @returns in words for people what is wrong with a list that is none */
export function readContextList(bytes: Uint8Array): readonly ContextRow[] | string {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return "it is no JSON";
  }
  const { version: written, files } = (value ?? {}) as { readonly version?: unknown; readonly files?: unknown };
  if (written !== version || !Array.isArray(files)) return "it is of another version";
  const rows = files as readonly unknown[];
  return rows.every(isRow) ? rows : "it names something that is no file";
}

function isRow(value: unknown): value is ContextRow {
  if (!Array.isArray(value)) return false;
  const [kind, path, third, size, executable] = value as readonly unknown[];
  if (typeof path !== "string" || !isSafePath(path)) return false;
  if (kind === "directory") return value.length === 2;
  if (typeof third !== "string") return false;
  if (kind === "symlink") return value.length === 3 && third !== "" && !third.includes("\0");
  if (kind === "hardlink") return value.length === 3 && isSafePath(third);
  return (
    kind === "file" &&
    /^[0-9a-f]{64}$/.test(third) &&
    Number.isSafeInteger(size) &&
    Number(size) >= 0 &&
    (executable === 0 || executable === 1)
  );
}

/** Below the folder that it is put in, whatever stands in it. */
function isSafePath(path: string): boolean {
  const parts = path.split("/");
  return (
    path.length < 4096 &&
    !/[\0\u0100-\uffff]/.test(path) &&
    parts.every((part) => part !== "" && part !== "." && part !== "..")
  );
}
