import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { placesOf, type Places } from "../model/places.ts";

/**
 * The places of a state folder by its one path: names of bridges and cgroups are made of it, so every way to the folder,
 * through links or relative, must lead to the same. What is not there yet stays as it is written.
 *
 * @param folder as it was given; default `/var/lib/bronze`
 * @throws {OperatorError} `ARGUMENT_INVALID` when it cannot be one
 */
export function placesAt(folder: string | undefined): Places {
  const { state } = placesOf(folder);
  return placesOf(realPath(resolve(state)));
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === dirname(path) ? path : join(realPath(dirname(path)), basename(path));
  }
}
