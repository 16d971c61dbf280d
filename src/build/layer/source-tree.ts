import type { BytePath, TarEntry } from "../../image/tar-entry.ts";
import type { LayerBytes } from "./contents.ts";

/** Something that can be copied into a layer, as it is where it comes from. */
export interface SourceFile {
  /** Relative to the root of its tree; "" is the root itself. */
  readonly path: BytePath;
  /** `other`: a socket, pipe or device. */
  readonly kind: "file" | "directory" | "symlink" | "other";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** What a symlink says. */
  readonly target: string;
  /** Names the file among those that are one file under several names; undefined: there is one name only. */
  readonly inode: string | undefined;
  /** Whole seconds since the epoch; undefined: of no meaning, as in a checkout. */
  readonly mtime?: number | undefined;
  /** Extended attributes that belong into layers. */
  readonly attributes?: TarEntry["attributes"] | undefined;
}

/** Files of the project, of an image or of an archive. */
export interface SourceTree {
  /** What is at a path; symlinks are not followed. */
  at(path: BytePath): SourceFile | undefined;
  /**
   * Everything at and below a path, parents first, in the order of their bytes. Symlinks are found, not followed.
   *
   * @param depth how many levels below the path; all of them where it is absent
   */
  walk(start: BytePath, depth?: number): Iterable<SourceFile>;
  bytes(file: SourceFile): LayerBytes;
}

const mostHops = 40;

/**
 * What a path of a tree leads to, symlinks followed everywhere, as they would be in a root of its own.
 *
 * @returns undefined where that is nothing, or where symlinks lead in a circle
 */
export function follow(tree: Pick<SourceTree, "at">, path: BytePath): SourceFile | undefined {
  let done: string[] = [];
  const rest = path.split("/").reverse();
  for (let hops = 0; rest.length > 0;) {
    const part = rest.pop() as string;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      done.pop();
      continue;
    }
    const file = tree.at([...done, part].join("/"));
    if (file?.kind !== "symlink") {
      done.push(part);
      continue;
    }
    if (++hops > mostHops) return undefined;
    if (file.target.startsWith("/")) done = [];
    rest.push(...file.target.split("/").reverse());
  }
  return tree.at(done.join("/"));
}

/** The name at the end of a path. */
export function nameOf(path: BytePath): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Parts put together, those that say nothing left out. */
export function joinPath(...parts: readonly BytePath[]): BytePath {
  return parts.filter((part) => part !== "").join("/");
}
