import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/**
 * A state folder's one path: names of bridges and cgroups are made of it, so every way to the folder, through links or
 * relative, must lead to the same. What is not there yet stays as it is written.
 */
export function realStateDir(folder: string | undefined): string | undefined {
  return folder === undefined ? undefined : realPath(resolve(folder));
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === dirname(path) ? path : join(realPath(dirname(path)), basename(path));
  }
}
