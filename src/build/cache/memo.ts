import { hash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

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
 * does. One compact file: records of a key and the content's digest, sorted by key.
 */
export interface ContentMemo {
  /** sha256 of a file's content, 32 bytes as latin1. */
  find(file: Fingerprint): string | undefined;
  /**
   * @param readAtMs when the reading began, ms since the epoch: a file that had just changed is not remembered, for the
   * next change might leave it looking the same
   */
  add(file: Fingerprint, content: string, readAtMs: number): void;
  /** Writes what was added; does nothing where there is nothing new. */
  save(): Promise<void>;
}

const magic = Buffer.from("bronze memo 1\n\0\0", "latin1");
const keyBytes = 16;
const recordBytes = keyBytes + 32;
const checkBytes = 32;
/** Records of files that a build did not ask for are kept beside so many that it did. */
const spareRecords = 100_000;

/** @param path of the file; absent and damaged are the same: everything is read again */
export async function openMemo(path: string): Promise<ContentMemo> {
  const records = await load(path);
  const used = new Uint8Array(records.byteLength / recordBytes);
  let added = Buffer.alloc(0);
  let count = 0;

  return {
    find(file) {
      if (records.byteLength === 0) return undefined;
      const at = search(records, Buffer.from(keyOf(file), "latin1"));
      if (at === undefined) return undefined;
      used[at] = 1;
      return records.toString("latin1", at * recordBytes + keyBytes, (at + 1) * recordBytes);
    },
    add(file, content, readAtMs) {
      if (isRacy(file, readAtMs)) return;
      if ((count + 1) * recordBytes > added.byteLength) {
        const larger = Buffer.alloc(Math.max(64 * recordBytes, added.byteLength * 2));
        added.copy(larger);
        added = larger;
      }
      added.write(keyOf(file) + content, count * recordBytes, "latin1");
      count += 1;
    },
    async save() {
      if (count === 0) return;
      const kept: Buffer[] = [];
      let spare = spareRecords;
      for (let at = 0; at < used.length; at++) {
        if (used[at] === 1 || spare-- > 0) kept.push(recordAt(records, at));
      }
      for (let at = 0; at < count; at++) kept.push(recordAt(added, at));
      kept.sort(Buffer.compare);
      await replace(path, kept);
      added = Buffer.alloc(0);
      count = 0;
    },
  };
}

/** Times of some file systems are whole seconds, or two of them. */
function isRacy({ ctimeMs }: Fingerprint, readAtMs: number): boolean {
  return readAtMs - ctimeMs < (ctimeMs % 1000 === 0 ? 2500 : 100);
}

/** The first bytes of a sha256, as latin1. */
function keyOf({ path, ino, size, mtimeMs, ctimeMs }: Fingerprint): string {
  return hash("sha256", `${ino}:${size}:${mtimeMs}:${ctimeMs}:${path}`, "latin1").slice(0, keyBytes);
}

function recordAt(records: Buffer, at: number): Buffer {
  return records.subarray(at * recordBytes, (at + 1) * recordBytes);
}

/** The number of the record with this key. */
function search(records: Buffer, key: Buffer): number | undefined {
  let low = 0;
  let high = records.byteLength / recordBytes;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const from = middle * recordBytes;
    const order = records.compare(key, 0, keyBytes, from, from + keyBytes);
    if (order === 0) return middle;
    // `compare` tells how the record stands to the key.
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

async function load(path: string): Promise<Buffer> {
  const file = await readFile(path).catch(() => Buffer.alloc(0));
  const records = file.subarray(magic.byteLength, -checkBytes);
  const isWhole =
    file.byteLength >= magic.byteLength + checkBytes &&
    file.subarray(0, magic.byteLength).equals(magic) &&
    records.byteLength % recordBytes === 0 &&
    hash("sha256", records, "buffer").equals(file.subarray(-checkBytes));
  return isWhole ? records : Buffer.alloc(0);
}

async function replace(path: string, records: readonly Buffer[]): Promise<void> {
  const body = Buffer.concat(records);
  const temporary = `${path}.${process.pid}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(temporary, Buffer.concat([magic, body, hash("sha256", body, "buffer")]), { mode: 0o600 });
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
