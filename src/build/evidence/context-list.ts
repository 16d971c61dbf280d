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
  const sum = createHash("sha256");
  let size = 0;
  let first: Buffer | undefined;
  for (const piece of piecesOf(sorted, read)) {
    sum.update(piece);
    first ??= piece;
    size += piece.byteLength;
  }
  // Mostly there is one piece, which is not made twice.
  const whole = first?.byteLength === size ? [first] : undefined;
  return {
    digest: `sha256:${sum.digest("hex")}` as Digest,
    size,
    pieces: () => whole ?? piecesOf(sorted, read),
    filePaths: () => filePathsOf(sorted, read),
  };
}

function* filePathsOf(sorted: readonly FoundFile[], read: readonly ReadFact[]): Generator<BytePath> {
  for (const { kind, path } of sorted) if (kind === "file") yield path;
  for (const { path } of read) yield Buffer.from(path).toString("latin1");
}

/** @param sorted by path; a path that is there twice is told once, as it was found last */
function* piecesOf(sorted: readonly FoundFile[], read: readonly ReadFact[]): Generator<Buffer> {
  const others = rowsOfRead(read);
  const inodes = new Map<string, BytePath>();
  let next = 0;
  let text = `{"version":${version},"files":[`;
  let between = "";
  for (const [index, file] of sorted.entries()) {
    if (sorted[index + 1]?.path === file.path) continue;
    const row = rowOf(file, inodes);
    if (row === undefined) continue;
    // Of what is there both ways it is told as it was found.
    for (let other = others[next]; other !== undefined && other.path <= file.path; other = others[(next += 1)]) {
      if (other.path === file.path) continue;
      text += between + other.text;
      between = ",";
    }
    text += between + row;
    between = ",";
    if (text.length < pieceLength) continue;
    yield Buffer.from(text);
    text = "";
  }
  for (; next < others.length; next += 1) {
    text += between + (others[next]?.text ?? "");
    between = ",";
  }
  yield Buffer.from(`${text}]}`);
}

/** A {@link ContextRow} as it is written: put together, for there may be a million. @returns undefined for what is told of nowhere */
function rowOf(file: FoundFile, inodes: Map<string, BytePath>): string | undefined {
  const path = JSON.stringify(file.path);
  switch (file.kind) {
    case "directory":
      return `["directory",${path}]`;
    case "symlink":
      return `["symlink",${path},${JSON.stringify(file.target)}]`;
    case "file": {
      const first = file.inode === undefined ? undefined : inodes.get(file.inode);
      if (first !== undefined) return `["hardlink",${path},${JSON.stringify(first)}]`;
      if (file.inode !== undefined) inodes.set(file.inode, file.path);
      return fileRow(path, contentOf(file), file.size, checkoutMode(file.mode) === 0o755);
    }
    default:
      return undefined;
  }
}

function fileRow(path: string, content: string, size: number, isExecutable: boolean): string {
  return `["file",${path},"${content}",${size},${isExecutable ? 1 : 0}]`;
}

function rowsOfRead(read: readonly ReadFact[]): readonly { readonly path: BytePath; readonly text: string }[] {
  return read
    .map(({ path: name, bytes }) => {
      const path = Buffer.from(name).toString("latin1");
      return { path, text: fileRow(JSON.stringify(path), digestHex(sha256(bytes)), bytes.byteLength, false) };
    })
    .sort(({ path: a }, { path: b }) => (a < b ? -1 : 1));
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
