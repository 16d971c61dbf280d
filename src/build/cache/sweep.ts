import { lstat, mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { leftByDead, temporaryIn } from "../../store/temporary.ts";
import { bytesOnDisk, listEntries, measureFolder, type CacheEntry } from "./entries.ts";

export interface CacheUse {
  readonly bytes: number;
  readonly entries: number;
  readonly capacityBytes: number;
}

const mostBytes = 20e9;
/** What is removed goes a little below the bounds, so that not every build has to remove something. */
const sweptShare = 0.9;
const measuredForMs = 10 * 60_000;

/** 20 GB, or a tenth of the file system where that is less. */
async function defaultCapacity(dir: string): Promise<number> {
  // Where nothing was built yet, the nearest folder that is there tells.
  const { blocks, bsize } = await statfs(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" || dir === dirname(dir)) throw error;
    return { blocks: undefined, bsize: 0 };
  });
  if (blocks === undefined) return defaultCapacity(dirname(dir));
  return Math.min(mostBytes, Math.floor((blocks * bsize) / 10));
}

/** What a build cache takes; changes nothing. */
export async function measureCache(dir: string, capacityBytes?: number): Promise<CacheUse> {
  const { entries, bytes } = await measure(dir);
  return { bytes, entries: entries.length, capacityBytes: capacityBytes ?? (await defaultCapacity(dir)) };
}

const dueAfterMs = 10 * 60_000;
const dueAfterBytes = 256e6;

/** Sweeps where a build added much, or where it was not done for some minutes or within other bounds. */
export async function sweepWhenDue(dir: string, addedBytes: number, capacityBytes?: number): Promise<void> {
  const last = await readSizes(join(dir, sizesFile));
  const capacity = capacityBytes ?? (await defaultCapacity(dir));
  const sinceMs = Date.now() - last.atMs;
  const isDue = addedBytes > dueAfterBytes || sinceMs > dueAfterMs || sinceMs < 0 || last.capacityBytes !== capacity;
  if (isDue) await sweepCache(dir, capacity);
}

/**
 * Removes the entries that were not used for longest, as long as the cache takes more than it may. What was used since the
 * oldest build under way began is kept, for that build may still use it.
 */
export async function sweepCache(dir: string, capacityBytes: number): Promise<CacheUse> {
  const { entries, bytes, folders } = await measure(dir);
  const temporaries = join(dir, "tmp");
  // Not the folder above: a cache that was removed meanwhile stays so.
  await mkdir(temporaries).catch(unlessThere);
  const sizes: Sizes = { atMs: Date.now(), capacityBytes, folders };
  await writeSizes(join(dir, sizesFile), sizes, temporaryIn(temporaries));
  let left = bytes;
  let count = entries.length;
  if (bytes > capacityBytes) {
    const keptFromMs = await oldestBuildMs(dir);
    const byAge = entries.toSorted((a, b) => a.stats.mtimeMs - b.stats.mtimeMs);
    for (const entry of byAge) {
      if (left <= capacityBytes * sweptShare || entry.stats.mtimeMs >= keptFromMs) break;
      if (!(await remove(entry, temporaryIn(temporaries)))) continue;
      left -= entry.bytes;
      count -= 1;
    }
  }
  return { bytes: left, entries: count, capacityBytes };
}

interface MeasuredEntry extends CacheEntry {
  readonly bytes: number;
}

interface Measured {
  readonly entries: readonly MeasuredEntry[];
  readonly bytes: number;
  readonly folders: Sizes["folders"];
}

/** Entries and what they take; folders are measured once, those that steps write to again from time to time. */
async function measure(dir: string): Promise<Measured> {
  const before = await readSizes(join(dir, sizesFile));
  const folders: Record<string, FolderSize> = {};
  const nowMs = Date.now();
  let bytes = 0;
  const entries: MeasuredEntry[] = [];
  const listed = await listEntries(dir);
  const blobSizes = new Map(
    listed.flatMap(({ room, path, stats }) => (room === blobsRoom ? [[basename(path), stats.size]] : [])),
  );
  for (const entry of listed) {
    let size = bytesOnDisk(entry.stats);
    // The store has it too: removing it here frees nothing.
    if (entry.stats.isFile() && entry.stats.nlink > 1) size = 0;
    if (entry.stats.isDirectory()) {
      const name = relative(dir, entry.path);
      const known = before.folders[name];
      const isCurrent =
        known?.ino === entry.stats.ino &&
        (entry.room !== "mounts" || entry.stats.mtimeMs < known.atMs || nowMs - known.atMs < measuredForMs);
      // An unpacked layer takes about what its archive does, which is quicker to ask.
      const archived = entry.room === "layers" ? blobSizes.get(basename(entry.path)) : undefined;
      const current = isCurrent
        ? known
        : { ino: entry.stats.ino, atMs: nowMs, bytes: archived ?? (await measureFolder(entry.path)) };
      folders[name] = current;
      size = current.bytes;
    }
    bytes += size;
    entries.push({ ...entry, bytes: size });
  }
  return { entries, bytes, folders };
}

const sizesFile = "sizes.json";
const blobsRoom = join("blobs", "sha256");

/** What was measured at the last sweep. */
interface Sizes {
  readonly atMs: number;
  readonly capacityBytes: number;
  readonly folders: { readonly [name: string]: FolderSize };
}

interface FolderSize {
  readonly ino: number;
  readonly atMs: number;
  readonly bytes: number;
}

async function readSizes(path: string): Promise<Sizes> {
  try {
    const sizes = JSON.parse(await readFile(path, "utf8")) as Partial<Sizes> | null;
    const folders = Object.entries(sizes?.folders ?? {}).filter(([, size]) =>
      [size.ino, size.atMs, size.bytes].every((value) => Number.isFinite(value)),
    );
    return {
      atMs: Number(sizes?.atMs),
      capacityBytes: Number(sizes?.capacityBytes),
      folders: Object.fromEntries(folders),
    };
  } catch {
    // Damaged is as good as never measured.
    return { atMs: Number.NEGATIVE_INFINITY, capacityBytes: Number.NaN, folders: {} };
  }
}

async function writeSizes(path: string, sizes: Sizes, temporary: string): Promise<void> {
  await writeFile(temporary, JSON.stringify(sizes), { mode: 0o600 });
  await rename(temporary, path);
}

/** When the oldest build under way began, ms since the epoch; infinite where there is none. */
async function oldestBuildMs(dir: string): Promise<number> {
  const folder = join(dir, "builds");
  const dead = new Set(leftByDead(folder));
  const names = await readdir(folder).catch(() => []);
  const alive = names.map((name) => join(folder, name)).filter((path) => !dead.has(path));
  const times = await Promise.all(alive.map(async (path) => (await stat(path).catch(() => undefined))?.mtimeMs));
  return Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY);
}

/**
 * Takes an entry's name away, then looks whether a build used it in that moment: then it gets its name back.
 *
 * @returns whether it is gone
 */
async function remove(entry: CacheEntry, aside: string): Promise<boolean> {
  try {
    await rename(entry.path, aside);
  } catch {
    // Somebody else removed it.
    return true;
  }
  const now = await lstat(aside);
  if (now.mtimeMs !== entry.stats.mtimeMs) {
    await mkdir(dirname(entry.path), { recursive: true });
    // Where it was made anew meanwhile, that one stays.
    if ((await lstat(entry.path).catch(() => undefined)) === undefined) {
      await rename(aside, entry.path).catch(() => undefined);
    }
    await rm(aside, { recursive: true, force: true });
    return false;
  }
  await rm(aside, { recursive: true, force: true });
  return true;
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
