import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { basename, join, resolve } from "node:path";

/** What `init` looks at in a folder. */
export interface Folder {
  /** Its own name. */
  readonly name: string;
  /** Names at its top, sorted; folders end in "/". */
  readonly entries: readonly string[];
  /** Paths of files in it, sorted; what tools made and what lies deep is left out. */
  readonly files: readonly string[];
  /** A regular file's bytes, its first MiB at most, or undefined. */
  readBytes(path: string): Uint8Array | undefined;
}

/** Most files that are looked at. */
const mostFiles = 20_000;
/** Levels of folders that are looked into. */
const deepest = 5;
const mostBytes = 2 ** 20;
/** Folders that tools fill; what people wrote is elsewhere. */
const filledByTools = new Set([
  ".git",
  ".hg",
  ".next",
  ".nuxt",
  ".output",
  ".svelte-kit",
  ".terraform",
  ".tox",
  ".venv",
  "__pycache__",
  "node_modules",
  "site-packages",
  "target",
  "vendor",
  "venv",
]);

export function openFolder(path: string): Folder {
  const top = readdirSync(path, { withFileTypes: true });
  return {
    name: basename(path),
    entries: top.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).toSorted(),
    files: listFiles(path),
    readBytes: (name) => readStart(resolve(path, name)),
  };
}

/** The text of a file; what is no UTF-8 in it becomes U+FFFD. */
export function readText(folder: Folder, path: string): string | undefined {
  const bytes = folder.readBytes(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

export function hasFile(folder: Folder, path: string): boolean {
  return folder.files.includes(path) || folder.entries.includes(path);
}

/** A folder in a folder, as one of its own. @param path relative, without "./" and "/" at its ends */
export function folderBelow(folder: Folder, path: string): Folder {
  const prefix = `${path}/`;
  const files = folder.files.filter((file) => file.startsWith(prefix)).map((file) => file.slice(prefix.length));
  const tops = files.map((file) => (file.includes("/") ? `${file.slice(0, file.indexOf("/"))}/` : file));
  return {
    name: basename(path),
    entries: [...new Set(tops)].toSorted(),
    files,
    readBytes: (name) => folder.readBytes(`${prefix}${name}`),
  };
}

function listFiles(root: string): readonly string[] {
  const files: string[] = [];
  const waiting: { readonly path: string; readonly depth: number }[] = [{ path: "", depth: 1 }];
  for (let next = waiting.shift(); next !== undefined && files.length < mostFiles; next = waiting.shift()) {
    let entries;
    try {
      entries = readdirSync(join(root, next.path), { withFileTypes: true });
    } catch {
      // A folder that may not be read says nothing about the app.
      continue;
    }
    for (const entry of entries) {
      const path = next.path === "" ? entry.name : `${next.path}/${entry.name}`;
      if (!entry.isDirectory()) files.push(path);
      else if (next.depth < deepest && !filledByTools.has(entry.name)) waiting.push({ path, depth: next.depth + 1 });
    }
  }
  return files.slice(0, mostFiles).toSorted();
}

function readStart(path: string): Uint8Array | undefined {
  let fd: number | undefined;
  try {
    // Without waiting for the other end of a pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(fd);
    if (!stats.isFile()) return undefined;
    const bytes = Buffer.alloc(Math.min(stats.size, mostBytes));
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count)
      count = readSync(fd, bytes, length, bytes.length - length, null);
    return bytes.subarray(0, length);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
