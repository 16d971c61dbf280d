import { mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { canonicalJson, digestHex, sha256, type Digest, type Json } from "../model/canonical.ts";
import { refusedByDisk } from "../store/durable.ts";
import { createTemporaries } from "../store/temporary.ts";
import { sweepWhenDue } from "./cache/sweep.ts";

/**
 * Small records of work done, by what it was done from, and folders for what is larger. Losing any of it only costs time.
 *
 * Rooms are folders of the cache; an entry is what is directly in one. An entry's time of change is when it was last used:
 * who uses one sets it (`utimes`), and the entries that were not used for longest are removed first.
 */
export interface BuildCache {
  read(room: string, key: Json): Promise<unknown>;
  write(room: string, key: Json, value: Json): Promise<void>;
  /** Where a room's entries are; the folder may not be there yet. */
  folder(room: string): string;
}

/** The cache as one build has it. */
export interface OpenCache extends BuildCache {
  /**
   * Ends the build: what it used may be removed from now on. The cache is brought back to its bounds in the background.
   *
   * @param addedBytes about what the build put into it
   */
  close(addedBytes: number): Promise<void>;
}

export interface CacheOptions {
  /** True: work is done again even where a record of an earlier build has it. */
  readonly fresh?: boolean;
  /** What the cache may take; default: 20 GB, or a tenth of its file system. */
  readonly capacityBytes?: number;
}

/**
 * Opens the cache for a build; what killed builds left half-made is removed.
 *
 * @param dir folder of the cache
 */
export async function openBuildCache(
  dir: string,
  { fresh = false, capacityBytes }: CacheOptions = {},
): Promise<OpenCache> {
  // Clears what the dead left.
  await createTemporaries(join(dir, "tmp")).next();
  const registration = await createTemporaries(join(dir, "builds")).next();
  writeFileSync(registration, "");
  const records = createRecords(dir, fresh);
  return {
    ...records,
    async close(addedBytes) {
      rmSync(registration, { force: true });
      // Nothing was added: the bounds still hold.
      if (records.written.size === 0) return;
      // A cache that is too large is no fault of the build, and the next one tries again.
      sweepWhenDue(dir, addedBytes, capacityBytes).catch(() => undefined);
    },
  };
}

/** The cache without a build under way. @param dir folder of the cache */
export function createBuildCache(dir: string): BuildCache {
  return createRecords(dir, false);
}

/** Where a record is. @param dir folder of the cache @param key sha256 of the key's canonical JSON */
export function recordPath(dir: string, room: string, key: Digest): string {
  return join(dir, "records", room, `${digestHex(key)}.json`);
}

/**
 * Calls that wait: a record is read or written in a tenth of the time that it takes to have a thread do it and hear of it.
 * Records are `records/ROOM/HEX.json`, HEX being the sha256 of the key's canonical JSON.
 */
function createRecords(dir: string, fresh: boolean): BuildCache & { readonly written: ReadonlySet<string> } {
  const pathOf = (room: string, key: Json): string => recordPath(dir, room, sha256(canonicalJson(key)));
  const temporaries = createTemporaries(join(dir, "tmp"));
  const written = new Set<string>();
  return {
    written,
    folder: (room) => join(dir, room),
    async read(room, key) {
      const path = pathOf(room, key);
      if (fresh && !written.has(path)) return undefined;
      try {
        const value: unknown = JSON.parse(readFileSync(path, "utf8"));
        const now = new Date();
        utimesSync(path, now, now);
        return value;
      } catch {
        // Absent and damaged are the same: the work is done again.
        return undefined;
      }
    },
    async write(room, key, value) {
      const path = pathOf(room, key);
      const temporary = await temporaries.next();
      try {
        mkdirSync(dirname(path), { recursive: true });
        // Not forced to disk: what a power cut leaves of it is whole or cannot be read.
        writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 });
        renameSync(temporary, path);
        written.add(path);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw refusedByDisk(error, dir, "build cache") ?? error;
      }
    },
  };
}
