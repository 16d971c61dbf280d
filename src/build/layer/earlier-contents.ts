import { hash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { isDigest, type Digest, type Json } from "../../model/canonical.ts";
import type { Blobs } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";

/** What the layer holds that a step made last: most of it is in the next one too, and one file is read sooner than a thousand. */
export interface EarlierContents {
  /** Whether no rule finds a secret in any of it, wherever it lies. */
  readonly isClean: boolean;
  has(content: string): boolean;
  /**
   * Writes a content into `target` from `at` on.
   *
   * @param content its sha256, 32 bytes as latin1
   * @returns false: it is not there, or its bytes are others by now, and what was written means nothing
   */
  fill(content: string, size: number, target: Buffer, at: number): boolean;
  close(): void;
}

/** Names and places of contents, on their way into the record of a layer. */
export interface ContentTable {
  add(content: string, size: number, offset: number): void;
  /** Undefined where there are too many to be worth it. */
  end(): string | undefined;
}

/** A row: sha256 of the content, its size, where it begins in the archive. */
const nameBytes = 32;
const sizeAt = nameBytes;
const offsetAt = sizeAt + 4;
const rowBytes = offsetAt + 6;
const mostRows = 100_000;
const windowBytes = 1 << 20;
const room = "contents";

export function createContentTable(): ContentTable {
  let rows = Buffer.alloc(64 * rowBytes);
  let used = 0;
  return {
    add(content, size, offset) {
      if (used > mostRows * rowBytes) return;
      if (used === rows.byteLength) rows = Buffer.concat([rows, Buffer.alloc(used)]);
      rows.write(content, used, "latin1");
      rows.writeUInt32LE(size, used + sizeAt);
      rows.writeUIntLE(offset, used + offsetAt, 6);
      used += rowBytes;
    },
    end: () => (used > mostRows * rowBytes ? undefined : rows.toString("base64", 0, used)),
  };
}

/** What is remembered of a step's layer. */
export interface EarlierLayer {
  readonly layer: Digest;
  readonly isClean: boolean;
  readonly table: string;
}

/** @param step which one, of which project */
export function rememberContents(cache: BuildCache, step: Json, made: EarlierLayer): Promise<void> {
  return cache.write(room, step, { ...made });
}

/** @returns undefined where nothing is known, or the layer is gone */
export async function openEarlierContents(
  blobs: Blobs,
  cache: BuildCache,
  step: Json,
): Promise<EarlierContents | undefined> {
  const known = (await cache.read(room, step)) as Partial<EarlierLayer> | undefined;
  if (typeof known?.layer !== "string" || !isDigest(known.layer) || typeof known.table !== "string") return undefined;
  const rows = Buffer.from(known.table, "base64");
  const places = new Map<string, number>();
  for (let at = 0; at + rowBytes <= rows.byteLength; at += rowBytes)
    places.set(rows.toString("latin1", at, at + nameBytes), at);
  if (places.size === 0 || (await blobs.stat(known.layer)) === undefined) return undefined;
  let file: number;
  try {
    file = openSync(await blobs.path(known.layer), "r");
  } catch {
    // Removed meanwhile, or damaged: every file is read, then.
    return undefined;
  }
  const read = windowOf(file);
  return {
    isClean: known.isClean === true,
    has: (content) => places.has(content),
    fill(content, size, target, at) {
      const row = places.get(content);
      if (row === undefined || rows.readUInt32LE(row + sizeAt) !== size) return false;
      if (!read(rows.readUIntLE(row + offsetAt, 6), size, target, at)) return false;
      return hash("sha256", target.subarray(at, at + size), "latin1") === content;
    },
    close: () => closeSync(file),
  };
}

/** Reads small parts of a file that mostly follow each other. @returns a function that says whether there were so many bytes */
function windowOf(file: number): (offset: number, size: number, target: Buffer, at: number) => boolean {
  const window = Buffer.allocUnsafe(windowBytes);
  let start = 0;
  let end = 0;
  return (offset, size, target, at) => {
    if (size > windowBytes) return false;
    if (offset < start || offset + size > end) {
      start = offset;
      end = offset + readSync(file, window, 0, windowBytes, offset);
    }
    if (offset + size > end) return false;
    window.copy(target, at, offset - start, offset - start + size);
    return true;
  };
}
