import { constants, lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath, type BytePath } from "../../image/tar-entry.ts";
import type { SourceFile } from "./source-tree.ts";

/** The folder that a walk began at. */
export interface Root {
  readonly path: string;
  readonly isAscii: boolean;
}

/** A file system object under a root, as found. */
export interface FoundFile extends Omit<SourceFile, "mtime" | "attributes"> {
  /** The same object for all files of a walk. */
  readonly root: Root;
  readonly ino: number;
  readonly mtimeMs: number;
  /** Newest change of content or inode, which no program can set. */
  readonly ctimeMs: number;
  /** sha256 of the content, once it is known. */
  content: string | undefined;
}

/** Says which paths stay out. */
export interface SkipRule {
  skips(path: BytePath): boolean;
  /** Whether something below a path that is skipped may not be. */
  mayKeepBelow(path: BytePath): boolean;
}

export const skipNothing: SkipRule = { skips: () => false, mayKeepBelow: () => true };

/** The files under a root at one moment: each folder is read once, when it is first asked for. */
export interface FileTree {
  /** What is at a path that is not skipped, or a folder that may hold such; symlinks are not followed. */
  at(path: BytePath): FoundFile | undefined;
  /**
   * Everything at and below a path, in the order of the paths' bytes, as in a layer. Symlinks are found, not followed.
   *
   * @param depth how many levels below the path; all of them where it is absent
   */
  walk(start: BytePath, depth?: number): Generator<FoundFile>;
}

const mostFiles = 1_000_000;

/** @throws {OperatorError} (its functions) `BUILD_FAILED` for what cannot be read, or beyond a million files */
export function openTree(rootPath: string, rule: SkipRule = skipNothing): FileTree {
  const root: Root = { path: rootPath, isAscii: isAscii(rootPath) };
  const folders = new Map<BytePath, readonly FoundFile[]>();
  /** Folders that stay out themselves while something below them may not. */
  const onlyBelow = new Set<FoundFile>();
  let count = 0;

  /** What is at a path, unless it and all below it stay out. */
  const start = (path: BytePath, location?: Buffer | string): FoundFile | undefined => {
    const isSkipped = path !== "" && rule.skips(path);
    if (isSkipped && !rule.mayKeepBelow(path)) return undefined;
    const file = look(root, path, location ?? locationOf({ root, path }));
    if (!isSkipped) return file;
    if (file?.kind !== "directory") return undefined;
    onlyBelow.add(file);
    return file;
  };

  const list = (folder: BytePath): readonly FoundFile[] => {
    const known = folders.get(folder);
    if (known !== undefined) return known;
    const above = locationOf({ root, path: folder });
    const names = read(root, folder, above, readNames) ?? [];
    const locations = typeof above === "string" && isAscii(names.join("")) ? `${above}/` : undefined;
    const prefix = folder === "" ? "" : `${folder}/`;
    const listed: FoundFile[] = [];
    for (const name of names.sort()) {
      const file = start(`${prefix}${name}`, locations === undefined ? undefined : `${locations}${name}`);
      if (file !== undefined) listed.push(file);
    }
    count += listed.length;
    if (count > mostFiles)
      throw new OperatorError("BUILD_FAILED", `Cannot build from "${rootPath}": more than ${mostFiles} files`, {
        hint: "name what does not belong into the image in .dockerignore",
      });
    folders.set(folder, listed);
    return listed;
  };

  return {
    at(path) {
      const file = start(path);
      // A folder that stays out is still the way to what a later rule takes back.
      return file === undefined || (onlyBelow.has(file) && file.kind !== "directory") ? undefined : file;
    },
    *walk(path, depth = Number.POSITIVE_INFINITY) {
      const deepest = levelOf(path) + depth;
      const first = start(path);
      /** What is found next comes last; a path stands for what is in the folder. */
      const waiting: (FoundFile | BytePath)[] = first === undefined ? [] : inOrder([first]).reverse();
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        if (typeof next !== "string") {
          if (!onlyBelow.has(next)) yield next;
        } else if (levelOf(next) < deepest) {
          // One by one: a folder may hold more than a call takes arguments.
          for (const inside of inOrder(list(next)).reverse()) waiting.push(inside);
        }
      }
    },
  };
}

/** Files of one folder, sorted, and the paths of folders where what is in them comes: "a", "a.txt", all of "a/". */
function inOrder(listed: readonly FoundFile[]): (FoundFile | BytePath)[] {
  const ordered: (FoundFile | BytePath)[] = [];
  const open: BytePath[] = [];
  for (const file of listed) {
    for (let last = open.at(-1); last !== undefined && `${last}/` < file.path; last = open.at(-1)) {
      ordered.push(last);
      open.pop();
    }
    ordered.push(file);
    if (file.kind === "directory") open.push(file.path);
  }
  return ordered.concat(open.reverse());
}

/** How many folders down from the root a path is. */
export function levelOf(path: BytePath): number {
  return path === "" ? 0 : path.split("/").length;
}

/** Where a file is, for system calls: text is quicker, but only ASCII is the same bytes in both. */
export function locationOf({ root, path }: Pick<FoundFile, "root" | "path">): Buffer | string {
  if (root.isAscii && isAscii(path)) return path === "" ? root.path : `${root.path}/${path}`;
  const rootBytes = Buffer.from(root.path);
  return path === "" ? rootBytes : Buffer.concat([rootBytes, Buffer.from(`/${path}`, "latin1")]);
}

export function isAscii(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- all of ASCII
  return /^[\x00-\x7f]*$/.test(text);
}

const readNames = (location: Buffer | string): string[] => readdirSync(location, { encoding: "latin1" });
const readTarget = (location: Buffer | string): string => readlinkSync(location, { encoding: "latin1" });
const readStats = (location: Buffer | string): Stats | undefined => lstatSync(location, { throwIfNoEntry: false });

function look(root: Root, path: BytePath, location: Buffer | string): FoundFile | undefined {
  const stats = read(root, path, location, readStats);
  if (stats === undefined) return undefined;
  const kind = kindOf(stats.mode);
  const target = kind === "symlink" ? read(root, path, location, readTarget) : "";
  if (target === undefined) return undefined;
  return {
    root,
    path,
    kind,
    mode: stats.mode & 0o7777,
    uid: compact(stats.uid),
    gid: compact(stats.gid),
    size: kind === "file" ? compact(stats.size) : 0,
    target,
    inode: kind === "file" && stats.nlink > 1 ? inodeOf(location) : undefined,
    ino: compact(stats.ino),
    mtimeMs: stats.mtimeMs,
    ctimeMs: stats.ctimeMs,
    content: undefined,
  };
}

/** The same number: V8 gives each of those that it takes from `Stats` a place of its own in memory, but not a small integer. */
function compact(number: number): number {
  const integer = number | 0;
  return integer === number ? integer : number;
}

function kindOf(mode: number): FoundFile["kind"] {
  const type = mode & constants.S_IFMT;
  if (type === constants.S_IFREG) return "file";
  if (type === constants.S_IFDIR) return "directory";
  return type === constants.S_IFLNK ? "symlink" : "other";
}

/** Exactly: numbers of inodes may be larger than a double holds, and two of them must not look like one. */
function inodeOf(location: Buffer | string): string | undefined {
  const stats = lstatSync(location, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

/** What a system call gives; undefined where the file went away meanwhile. */
function read<Result>(
  root: Root,
  path: BytePath,
  location: Buffer | string,
  call: (location: Buffer | string) => Result,
): Result | undefined {
  try {
    return call(location);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new OperatorError("BUILD_FAILED", `Cannot read "${fromBytePath(path)}" below "${root.path}"`, {
      hint: "see to what the cause says, or name it in .dockerignore",
      cause,
    });
  }
}
