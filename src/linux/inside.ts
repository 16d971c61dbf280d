import { lstat, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

const mostLinks = 40;

/**
 * Follows a path as a process inside `root` would: links never lead out of it. Components that do not exist are kept as
 * they are.
 *
 * @returns absolute path as seen from inside
 */
export async function resolveInside(root: string, path: string): Promise<string> {
  let done: string[] = [];
  const todo = path.split("/").filter((part) => part !== "");
  let links = 0;
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    if (part === ".") continue;
    if (part === "..") {
      done.pop();
      continue;
    }
    const here = join(root, ...done, part);
    const stats = await lstat(here).catch(() => undefined);
    if (stats?.isSymbolicLink() !== true) {
      done.push(part);
      continue;
    }
    links += 1;
    if (links > mostLinks) throw new Error(`${path} goes through more than ${mostLinks} links`);
    const target = await readlink(here);
    if (target.startsWith("/")) done = [];
    todo.unshift(...target.split("/").filter((piece) => piece !== ""));
  }
  return `/${done.join("/")}`;
}

/** Text of a file of the image, undefined where there is none; at most 1 MiB of it. */
export async function readInside(root: string, path: string): Promise<string | undefined> {
  const file = join(root, await resolveInside(root, path));
  const stats = await lstat(file).catch(() => undefined);
  if (stats?.isFile() !== true || stats.size > 1024 * 1024) return undefined;
  return readFile(file, "utf8");
}
