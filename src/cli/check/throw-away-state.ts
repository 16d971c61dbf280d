import { cp, mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";

/**
 * A state folder for one build: it sees the blobs and names of the real store, and Debian packages that were fetched
 * before; whatever it makes stays in it, and nothing of the real cache is known there.
 */
export async function createThrowAwayState(state: string, dir: string): Promise<string> {
  const blobs = join("store", "blobs", "sha256");
  for (const folder of [blobs, join("store", "tags"), "cache"]) await mkdir(join(dir, folder), { recursive: true });
  // Links, which a write of the same blob replaces: the real one is not touched.
  for (const name of await readdir(join(state, blobs)).catch(nothing))
    await symlink(join(state, blobs, name), join(dir, blobs, name));
  const tags = join("store", "tags");
  if ((await readdir(join(state, tags)).catch(nothing)).length > 0)
    await cp(join(state, tags), join(dir, tags), { recursive: true });
  const debs = join("cache", "debs");
  await mkdir(join(state, debs), { recursive: true });
  await symlink(join(state, debs), join(dir, debs));
  return dir;
}

function nothing(error: NodeJS.ErrnoException): readonly string[] {
  if (error.code === "ENOENT") return [];
  throw error;
}
