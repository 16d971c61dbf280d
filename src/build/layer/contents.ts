import { createHash, hash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath } from "../../image/tar-entry.ts";
import { mostFilledBytes, type TarBytes } from "../../image/tar-write.ts";
import type { ContentMemo } from "../cache/memo.ts";
import { createReadAhead, type ReadAhead } from "./read-ahead.ts";
import { locationOf, type FoundFile } from "./walk.ts";

/** The bytes of one file of a layer. Once all were read or filled in, their name is known. */
export interface LayerBytes extends TarBytes {
  /** A name for them: equal names, equal bytes. Undefined as long as they would have to be read for it. */
  known(): string | undefined;
}

/** The contents of a project's files, each read at most once for its name, and not at all where the memo has it. */
export interface Contents {
  of(file: FoundFile): LayerBytes;
  /** Says that a file will be part of the layer that is written next, after those said before: it may be read from now on. */
  expect(file: FoundFile): void;
  /** Ends what reads files that were expected and that no layer took. */
  end(): void;
}

export function createContents(memo: ContentMemo): Contents {
  const known = (file: FoundFile): string | undefined => (file.content ??= memo.find(file));
  const learn = (file: FoundFile, content: string, readAtMs: number): void => {
    if (file.content === undefined) {
      file.content = content;
      memo.add(file, content, readAtMs);
    } else if (file.content !== content) throw changed(file);
  };
  function* read(file: FoundFile): Generator<Uint8Array> {
    // What an unchanged file holds is known; one that had just changed when it was read is looked at again.
    if (known(file) !== undefined && memo.isSure(file)) return yield* readPieces(file);
    const readAtMs = Date.now();
    const sum = createHash("sha256");
    for (const piece of readPieces(file)) {
      sum.update(piece);
      yield piece;
    }
    learn(file, sum.digest("latin1"), readAtMs);
  }
  const readers = new Set<ReadAhead>();
  const fill = (file: FoundFile, target: Buffer, at: number): void => {
    known(file);
    for (const reader of readers) {
      if (!reader.expects(file)) continue;
      const content = reader.take(target, at);
      // When exactly it was read is not known; not before this.
      if (content !== undefined) return learn(file, content, reader.startedAtMs);
      break;
    }
    const readAtMs = Date.now();
    readWhole(file, target, at);
    // Also of one whose content is known: it may have changed since it was looked at.
    learn(file, hash("sha256", target.subarray(at, at + file.size), "latin1"), readAtMs);
  };
  /** Reads what is expected, until a layer is written. */
  let early: ReadAhead | undefined;
  const expect = (file: FoundFile): void => {
    if (!isReadAhead(file) || known(file) !== undefined) return;
    early ??= createReadAhead(readWhole);
    early.add(file);
  };
  const ahead = (files: readonly FoundFile[]): (() => void) => {
    let reader = early;
    early = undefined;
    if (reader?.isOf(files) !== true) {
      // Other files than those that were expected, or in another order.
      reader?.end();
      reader = createReadAhead(readWhole);
      for (const file of files) reader.add(file);
    }
    const mine = reader;
    readers.add(mine);
    return () => {
      readers.delete(mine);
      mine.end();
    };
  };
  const access = { known, read, fill, ahead };
  const end = (): void => {
    early?.end();
    early = undefined;
  };
  return { of: (file) => new FileBytes(file, access), expect, end };
}

interface Access {
  known(file: FoundFile): string | undefined;
  read(file: FoundFile): Iterable<Uint8Array>;
  fill(file: FoundFile, target: Buffer, at: number): void;
  ahead(files: readonly FoundFile[]): () => void;
}

/**
 * Begins to read the small files of a layer that is about to be written in this order, or goes on where they were expected in
 * just this order.
 *
 * @returns ends it
 */
export function beginReading(members: readonly { readonly bytes?: LayerBytes }[]): () => void {
  let contents: Access | undefined;
  const files: FoundFile[] = [];
  for (const { bytes } of members) {
    if (!(bytes instanceof FileBytes) || !isReadAhead(bytes.file)) continue;
    contents ??= bytes.access;
    // Of one project all; others are read when it is their turn.
    if (bytes.access === contents) files.push(bytes.file);
  }
  return contents?.ahead(files) ?? (() => undefined);
}

/** Of several names of one file a layer has the bytes once. */
function isReadAhead({ kind, size, inode }: FoundFile): boolean {
  return kind === "file" && size <= mostFilledBytes && inode === undefined;
}

/** A class, for there may be half a million of them: functions of their own would take several times the memory. */
class FileBytes implements LayerBytes {
  readonly file: FoundFile;
  readonly access: Access;

  constructor(file: FoundFile, access: Access) {
    this.file = file;
    this.access = access;
  }

  known(): string | undefined {
    return this.access.known(this.file);
  }

  read(): Iterable<Uint8Array> {
    return this.access.read(this.file);
  }

  fill(target: Buffer, at: number): void {
    this.access.fill(this.file, target, at);
  }
}

/** Whether these are the bytes of a project's file, so that their name is the sha256 of them. */
export function isProjectFile(bytes: LayerBytes): boolean {
  return bytes instanceof FileBytes;
}

const pieceBytes = 1 << 20;
/** Buffers that no reader has now: layers that are written beside each other each need one. */
const spare: Buffer[] = [];

/**
 * A file's bytes, in pieces that are only valid until the next one is asked for.
 *
 * @throws {OperatorError} `BUILD_FAILED` when the file is no longer the one that was found, or changes while it is read
 */
export function* readPieces(file: FoundFile): Generator<Uint8Array> {
  const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(pieceBytes);
  const descriptor = openFound(file);
  try {
    let left = file.size;
    while (left > 0) {
      const count = readSync(descriptor, buffer, 0, Math.min(left, pieceBytes), null);
      if (count === 0) break;
      left -= count;
      yield buffer.subarray(0, count);
    }
    const now = fstatSync(descriptor);
    const isSame =
      left === 0 &&
      now.size === file.size &&
      now.ino === file.ino &&
      now.mtimeMs === file.mtimeMs &&
      // A link more or fewer elsewhere, as package managers make them, changes a file's inode and none of its bytes.
      (now.ctimeMs === file.ctimeMs || file.inode !== undefined || now.nlink > 1);
    if (!isSame) throw changed(file);
  } finally {
    closeSync(descriptor);
    spare.push(buffer);
  }
}

/**
 * Reads a file by one call that asks for a byte more than it had when it was found: what grew meanwhile is noticed too.
 *
 * @throws {OperatorError} `BUILD_FAILED` when its size is no longer the one that was found
 */
function readWhole(file: FoundFile, target: Buffer, at: number): void {
  const descriptor = openFound(file);
  try {
    if (readSync(descriptor, target, at, file.size + 1, null) !== file.size) throw changed(file);
  } finally {
    closeSync(descriptor);
  }
}

function openFound(file: FoundFile): number {
  try {
    return openSync(locationOf(file), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === "ENOENT" || code === "ELOOP" || code === "ENOTDIR" || code === "ENXIO" ? changed(file) : error;
  }
}

function changed(file: FoundFile): OperatorError {
  return new OperatorError(
    "BUILD_FAILED",
    `Cannot put "${fromBytePath(file.path)}" into an image: it changed while it was read`,
    { hint: "build again when nothing writes to the project" },
  );
}
