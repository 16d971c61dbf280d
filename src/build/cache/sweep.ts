import { lstat, mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { createTemporaries, leftByDead, type Temporaries } from "../../store/temporary.ts";
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
  const { entries, bytes } = await measure(dir, "forget");
  return { bytes, entries: entries.length, capacityBytes: capacityBytes ?? (await defaultCapacity(dir)) };
}

/**
 * Removes the entries that were not used for longest, as long as the cache takes more than it may. What was used since the
 * oldest build under way began is kept, for that build may still use it.
 */
export async function sweepCache(dir: string, capacityBytes?: number): Promise<CacheUse> {
  const capacity = capacityBytes ?? (await defaultCapacity(dir));
  const { entries, bytes } = await measure(dir, "remember");
  let left = bytes;
  let count = entries.length;
  if (bytes > capacity) {
    const keptFromMs = await oldestBuildMs(dir);
    const temporaries = createTemporaries(join(dir, "tmp"));
    const byAge = entries.toSorted((a, b) => a.stats.mtimeMs - b.stats.mtimeMs);
    for (const entry of byAge) {
      if (left <= capacity * sweptShare || entry.stats.mtimeMs >= keptFromMs) break;
      if (!(await remove(entry, temporaries))) continue;
      left -= entry.bytes;
      count -= 1;
    }
  }
  return { bytes: left, entries: count, capacityBytes: capacity };
}

interface MeasuredEntry extends CacheEntry {
  readonly bytes: number;
}

/** Entries and what they take; folders are measured once, those that steps write to again from time to time. */
async function measure(
  dir: string,
  then: "remember" | "forget",
): Promise<{ entries: readonly MeasuredEntry[]; bytes: number }> {
  const sizesPath = join(dir, "sizes.json");
  const before = await readSizes(sizesPath);
  const after: Record<string, FolderSize> = {};
  const nowMs = Date.now();
  let bytes = 0;
  let measured = 0;
  const entries: MeasuredEntry[] = [];
  for (const entry of await listEntries(dir)) {
    let size = bytesOnDisk(entry.stats);
    // The store has it too: removing it here frees nothing.
    if (entry.stats.isFile() && entry.stats.nlink > 1) size = 0;
    if (entry.stats.isDirectory()) {
      const name = relative(dir, entry.path);
      const known = before[name];
      const isCurrent =
        known?.ino === entry.stats.ino &&
        (entry.room !== "mounts" || entry.stats.mtimeMs < known.atMs || nowMs - known.atMs < measuredForMs);
      const current = isCurrent ? known : { ino: entry.stats.ino, atMs: nowMs, bytes: await measureFolder(entry.path) };
      if (!isCurrent) measured += 1;
      after[name] = current;
      size = current.bytes;
    }
    bytes += size;
    entries.push({ ...entry, bytes: size });
  }
  if (measured > 0 && then === "remember") await writeSizes(sizesPath, after, createTemporaries(join(dir, "tmp")));
  return { entries, bytes };
}

interface FolderSize {
  readonly ino: number;
  readonly atMs: number;
  readonly bytes: number;
}

async function readSizes(path: string): Promise<Readonly<Record<string, FolderSize>>> {
  try {
    const sizes: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof sizes !== "object" || sizes === null) return {};
    return Object.fromEntries(
      Object.entries(sizes as Record<string, Partial<FolderSize> | null>).filter((pair): pair is [string, FolderSize] =>
        [pair[1]?.ino, pair[1]?.atMs, pair[1]?.bytes].every((value) => Number.isFinite(value)),
      ),
    );
  } catch {
    return {};
  }
}

async function writeSizes(
  path: string,
  sizes: Readonly<Record<string, FolderSize>>,
  temporaries: Temporaries,
): Promise<void> {
  const temporary = await temporaries.next();
  await writeFile(temporary, JSON.stringify(sizes), { mode: 0o600 });
  await rename(temporary, path);
}

/** When the oldest build under way began, ms since the epoch; infinite where there is none. */
async function oldestBuildMs(dir: string): Promise<number> {
  const folder = join(dir, "builds");
  const dead = new Set(await leftByDead(folder));
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
async function remove(entry: CacheEntry, temporaries: Temporaries): Promise<boolean> {
  const aside = await temporaries.next();
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
