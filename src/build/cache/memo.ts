import { createHash, hash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { refusedByDisk } from "../../store/durable.ts";
import type { Temporaries } from "../../store/temporary.ts";

/** What a file looks like from outside; it changes whenever the content may have changed. */
export interface Fingerprint {
  readonly path: string;
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

/**
 * Remembers what the contents of files were, so that those that did not change since need not be read again, as git's index
 * does.
 */
export interface ContentMemo {
  /** sha256 of a file's content, 32 bytes as latin1. */
  find(file: Fingerprint): string | undefined;
  /**
   * @param readAtMs when the reading began, ms since the epoch: a file that had just changed is not remembered, for the
   * next change might leave it looking the same
   */
  add(file: Fingerprint, content: string, readAtMs: number): void;
  /** False: the file had just changed when it was read. */
  isSure(file: Fingerprint): boolean;
  /** Writes what was added; does nothing where there is nothing new. */
  save(): Promise<void>;
}

const magic = Buffer.from("bronze memo 2\n\0\0", "latin1");
/** Numbers of a record: inode, hash of the path, size, times of content and inode. */
const width = 5;
const contentBytes = 32;
const recordBytes = width * 8 + contentBytes;
const checkBytes = 32;
/** Records of files that a build did not ask for are kept beside so many that it did. */
const spareRecords = 100_000;

/**
 * @param path of the file; absent and damaged are the same: everything is read again
 * @param temporary names of files that are not finished
 */
export async function openMemo(path: string, temporary: Temporaries): Promise<ContentMemo> {
  const stored = load(path);
  const used = new Uint8Array(stored.count);
  const unsure = new Set<Fingerprint>();
  let added = emptyTable(0);

  return {
    find(file) {
      const at = search(stored, file);
      if (at === undefined) return undefined;
      used[at] = 1;
      return stored.contents.toString("latin1", at * contentBytes, (at + 1) * contentBytes);
    },
    add(file, content, readAtMs) {
      if (isRacy(file, readAtMs)) {
        unsure.add(file);
        return;
      }
      if (added.count === added.numbers.length / width) added = grown(added);
      putNumbers(file, added.numbers, added.count * width);
      added.contents.write(content, added.count * contentBytes, "latin1");
      added.count += 1;
    },
    isSure: (file) => !unsure.has(file),
    async save() {
      if (added.count === 0) return;
      const kept: number[] = [];
      let spare = spareRecords;
      for (let at = 0; at < stored.count; at++) if (used[at] === 1 || spare-- > 0) kept.push(at);
      for (let at = 0; at < added.count; at++) kept.push(stored.count + at);
      const table = merge(stored, added, Uint32Array.from(kept));
      added = emptyTable(0);
      replace(path, table, await temporary.next());
    },
  };
}

/** Records, by number of inode where they are stored; in the file their numbers come first, then their contents. */
interface Table {
  count: number;
  readonly numbers: Float64Array;
  readonly contents: Buffer;
}

function emptyTable(room: number): Table {
  return { count: 0, numbers: new Float64Array(room * width), contents: Buffer.alloc(room * contentBytes) };
}

function grown({ count, numbers, contents }: Table): Table {
  const larger = emptyTable(Math.max(64, count * 2));
  larger.numbers.set(numbers);
  contents.copy(larger.contents);
  return { ...larger, count };
}

/** @param wanted numbers of records, those of the second table after those of the first */
function merge(first: Table, second: Table, wanted: Uint32Array): Table {
  const inoAt = (at: number): number => (at < first.count ? inoOf(first, at) : inoOf(second, at - first.count));
  wanted.sort((a, b) => inoAt(a) - inoAt(b));
  const table = emptyTable(wanted.length);
  for (const at of wanted) {
    const [from, row] = at < first.count ? [first, at] : [second, at - first.count];
    table.numbers.set(from.numbers.subarray(row * width, (row + 1) * width), table.count * width);
    from.contents.copy(table.contents, table.count * contentBytes, row * contentBytes, (row + 1) * contentBytes);
    table.count += 1;
  }
  return table;
}

function inoOf({ numbers }: Table, at: number): number {
  return numbers[at * width] ?? 0;
}

/** The number of the record of a file that looks like this. */
function search(table: Table, file: Fingerprint): number | undefined {
  const { numbers } = table;
  let low = 0;
  let high = table.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (inoOf(table, middle) < file.ino) low = middle + 1;
    else high = middle;
  }
  for (let at = low; at < table.count && inoOf(table, at) === file.ino; at++) {
    const from = at * width;
    const isSame =
      numbers[from + 4] === file.ctimeMs &&
      numbers[from + 3] === file.mtimeMs &&
      numbers[from + 2] === file.size &&
      numbers[from + 1] === hashOf(file.path);
    if (isSame) return at;
  }
  return undefined;
}

function putNumbers({ ino, path, size, mtimeMs, ctimeMs }: Fingerprint, numbers: Float64Array, at: number): void {
  numbers[at] = ino;
  numbers[at + 1] = hashOf(path);
  numbers[at + 2] = size;
  numbers[at + 3] = mtimeMs;
  numbers[at + 4] = ctimeMs;
}

/**
 * 32 bits of a path: numbers of inodes may be larger than a double holds, and two of one moment then look the same.
 *
 * @see Fowler, Noll, Vo: FNV-1a
 */
function hashOf(path: string): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) sum = Math.imul(sum ^ path.charCodeAt(i), 0x01000193);
  return sum >>> 0;
}

/** Times of some file systems are whole seconds, or two of them. */
function isRacy({ ctimeMs }: Fingerprint, readAtMs: number): boolean {
  return readAtMs - ctimeMs < (ctimeMs % 1000 === 0 ? 2500 : 100);
}

function load(path: string): Table {
  const file = readIfThere(path);
  const body = file.subarray(magic.byteLength, -checkBytes);
  const isWhole =
    file.byteLength >= magic.byteLength + checkBytes &&
    file.subarray(0, magic.byteLength).equals(magic) &&
    body.byteLength % recordBytes === 0 &&
    hash("sha256", body, "buffer").equals(file.subarray(-checkBytes));
  if (!isWhole) return emptyTable(0);
  const count = body.byteLength / recordBytes;
  const rows = body.subarray(0, count * width * 8);
  // Numbers must begin at a multiple of their size: small files share a buffer and may not.
  const aligned = rows.byteOffset % 8 === 0 ? rows : Uint8Array.from(rows);
  const numbers = new Float64Array(aligned.buffer, aligned.byteOffset, count * width);
  return { count, numbers, contents: body.subarray(count * width * 8) };
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

function replace(path: string, { numbers, contents }: Table, temporary: string): void {
  const parts = [new Uint8Array(numbers.buffer), contents];
  const check = parts.reduce((sum, part) => sum.update(part), createHash("sha256")).digest();
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, "wx", 0o600);
    try {
      for (const part of [magic, ...parts, check]) writeFileSync(file, part);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw refusedByDisk(error, dirname(dirname(path)), "build cache") ?? error;
  }
}
