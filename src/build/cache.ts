import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { canonicalJson, digestHex, sha256, type Json } from "../model/canonical.ts";

/** Small records of work done, by what it was done from. Losing any of them only costs time. */
export interface BuildCache {
  read(room: string, key: Json): Promise<unknown>;
  write(room: string, key: Json, value: Json): Promise<void>;
  /** Where a room's files are; the folder may not be there yet. */
  folder(room: string): string;
}

/** @param dir folder of the cache; records are `ROOM/HEX.json`, HEX being the sha256 of the key's canonical JSON */
export function createBuildCache(dir: string): BuildCache {
  const pathOf = (room: string, key: Json): string => join(dir, room, `${digestHex(sha256(canonicalJson(key)))}.json`);
  return {
    folder: (room) => join(dir, room),
    async read(room, key) {
      try {
        return JSON.parse(await readFile(pathOf(room, key), "utf8"));
      } catch {
        // Absent and damaged are the same: the work is done again.
        return undefined;
      }
    },
    async write(room, key, value) {
      const path = pathOf(room, key);
      const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
      await mkdir(join(dir, room), { recursive: true });
      try {
        const file = await open(temporary, "wx", 0o644);
        try {
          await file.writeFile(JSON.stringify(value));
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
      } finally {
        await rm(temporary, { force: true });
      }
    },
  };
}
