import type { Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Something in the cache that is kept or removed as a whole. */
export interface CacheEntry {
  readonly path: string;
  /** Its folder in the cache: `records/layers`, `blobs/sha256`, `mounts`. */
  readonly room: string;
  readonly stats: Stats;
}

/** Not kept for later builds: what is being written, who builds, where steps run, and how large entries are. */
const ownFolders = new Set(["tmp", "builds", "steps", "sizes.json"]);
/** Rooms with rooms in them. */
const nested = new Set(["records", "blobs"]);

/** Every entry of a cache. What goes away meanwhile is left out. */
export async function listEntries(dir: string): Promise<readonly CacheEntry[]> {
  const entries: CacheEntry[] = [];
  for (const room of await namesIn(dir)) {
    if (ownFolders.has(room)) continue;
    const rooms = nested.has(room) ? (await namesIn(join(dir, room))).map((name) => join(room, name)) : [room];
    for (const one of rooms) {
      for (const name of await namesIn(join(dir, one))) {
        const path = join(dir, one, name);
        const stats = await statOf(path);
        if (stats !== undefined) entries.push({ path, room: one, stats });
      }
    }
  }
  return entries;
}

/** Bytes on disk of a folder and all below it. */
export async function measureFolder(path: string): Promise<number> {
  let bytes = 0;
  const waiting = [path];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for (const name of await namesIn(folder)) {
      const inside = join(folder, name);
      const stats = await statOf(inside);
      if (stats === undefined) continue;
      bytes += bytesOnDisk(stats);
      if (stats.isDirectory()) waiting.push(inside);
    }
  }
  return bytes;
}

export function bytesOnDisk({ blocks }: Stats): number {
  return blocks * 512;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}

async function statOf(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(() => undefined);
}
