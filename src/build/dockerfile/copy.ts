import { posix } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import { parentOf, toBytePath, type BytePath } from "../../image/tar-entry.ts";
import { resolveInTree, resolverBelow, type BaseTree } from "../layer/base-tree.ts";
import { checkoutMode, noFile } from "../layer/compose.ts";
import type { LayerBytes } from "../layer/contents.ts";
import { globSource, hasWildcard } from "../layer/ignore.ts";
import type { Owner, Placement } from "../layer/placement.ts";
import { follow, joinPath, nameOf, type SourceFile, type SourceTree } from "../layer/source-tree.ts";
import { levelOf, type SkipRule } from "../layer/walk.ts";
import type { ModeChange } from "./modes.ts";

/** Where files are put, and how. */
export interface CopyTarget {
  readonly placement: Placement;
  /** The layers below, as far as symlinks of them are followed. */
  readonly base: BaseTree;
  /** Absolute; a slash at the end says that it is a folder. */
  readonly path: string;
  /** null: as where they come from; new parents are root's. */
  readonly owner: Owner | null;
  readonly mode: ModeChange | null;
  /** Latest time of anything, whole seconds since the epoch. */
  readonly epoch: number;
  readonly signal: AbortSignal;
}

export interface CopySource {
  readonly tree: SourceTree;
  /** Files of a checkout have no owners, times and modes of their own but the executable bit. */
  readonly checkout: boolean;
  /** Path or pattern in the tree. */
  readonly pattern: string;
  /** Keep the folders of the path: all of them, or those after `/./`. */
  readonly parents: boolean;
  readonly exclude: SkipRule | null;
  /** Puts a file in another way than copying it. @returns whether it did */
  readonly instead?: (file: SourceFile) => Promise<boolean>;
}

/** Where an instruction's target is: its path from the root, with a slash at the end where it must be a folder. */
export function targetPath(workdir: string, written: string): string {
  const path = posix.resolve("/", workdir, written);
  return path !== "/" && /(^|\/)\.{0,2}$/.test(written) ? `${path}/` : path;
}

/** Makes the folders that a target needs. @returns its real path */
export function prepareTarget(target: CopyTarget): BytePath {
  const path = resolveInTree(target.base, toBytePath(target.path.slice(1)), true);
  const isFolder = target.path.endsWith("/");
  target.placement.folder(isFolder ? path : parentOf(path), target.owner ?? { uid: 0, gid: 0 });
  return path;
}

/**
 * Copies what a path or pattern names.
 *
 * @returns how many files and folders it names itself; 0 only for a pattern
 * @throws {OperatorError} `BUILD_FAILED` for a path that leads to nothing, and naming what is no file
 */
export async function copyFiles(source: CopySource, target: CopyTarget): Promise<number> {
  const { tree } = source;
  const [pivot, pattern] = source.parents ? splitPivot(source.pattern) : ["", source.pattern];
  const start = follow(tree, cleanPath(pivot, source));
  const clean = cleanPath(pattern, source);
  const from = start?.path ?? "";
  const found = start === undefined ? [] : hasWildcard(clean) ? expand(tree, from, clean) : [joinPath(from, clean)];
  if (start === undefined) throw nothingAt(source);
  if (found.length === 0) return 0;
  const into = source.parents
    ? prepareTarget({ ...target, path: `${target.path.replace(/\/$/, "")}/` })
    : prepareTarget(target);
  for (const path of found) {
    const file = follow(tree, path);
    if (file === undefined) throw nothingAt(source);
    if (file.kind === "file" && (await source.instead?.(file)) === true) continue;
    if (source.parents) {
      const below = path.slice(from.length).replace(/^\//, "");
      keepParents(source, from, parentOf(below), into, target);
      await place(source, file, real(target, joinPath(into, below), file), target);
    } else if (file.kind === "directory") await place(source, file, into, target);
    else {
      const inside = target.placement.isFolder(into);
      await place(source, file, inside ? joinPath(into, nameOf(path)) : into, target);
    }
  }
  return found.length;
}

/** Puts bytes that come from no tree: a here-document, a download. */
export function putFile(
  file: { readonly name: BytePath; readonly bytes: LayerBytes; readonly size: number; readonly mode: number },
  target: CopyTarget,
): void {
  const into = prepareTarget(target);
  const path = target.placement.isFolder(into) ? joinPath(into, file.name) : into;
  const mode = target.mode?.(file.mode, false) ?? file.mode;
  const owner = target.owner ?? { uid: 0, gid: 0 };
  target.placement.put(
    { path, kind: "file", mode, ...owner, mtime: target.epoch, size: file.size, target: "" },
    file.bytes,
  );
}

const turnFiles = 2000;

/** One file, or all that a folder holds. @param to its real path */
async function place(source: CopySource, file: SourceFile, to: BytePath, target: CopyTarget): Promise<void> {
  const { placement } = target;
  if (file.kind !== "directory") {
    if (source.exclude?.skips(nameOf(file.path)) !== true) put(source, file, to, target);
    return;
  }
  // A folder's contents are copied, not the folder: where they go is nobody's but --chown's.
  if (!placement.isFolder(to)) placement.folder(to, target.owner ?? { uid: 0, gid: 0 });
  const resolve = resolverBelow(target.base, to);
  const above = file.path === "" ? 0 : file.path.length + 1;
  const files = source.tree.walk(file.path)[Symbol.iterator]();
  const placeNext = (found: SourceFile): void => {
    const below = found.path.slice(above);
    if (below === "" || source.exclude?.skips(below) === true) return;
    const path = resolve(below, found.kind === "directory");
    if (found.kind === "directory") placement.putFolder(path, attributes(source, found, target));
    else put(source, found, path, target);
  };
  while (!takeSome(files, placeNext)) {
    await nextTurn();
    target.signal.throwIfAborted();
  }
}

/** Apart from what waits between them: the compiler would begin anew with every turn. @returns whether these were the last */
function takeSome(files: Iterator<SourceFile>, take: (file: SourceFile) => void): boolean {
  for (let left = turnFiles; left > 0; left -= 1) {
    const next = files.next();
    if (next.done === true) return true;
    take(next.value);
  }
  return false;
}

function put(source: CopySource, file: SourceFile, path: BytePath, target: CopyTarget): void {
  const { placement } = target;
  if (file.kind === "other") throw noFile(file.path);
  const { mode, uid, gid, mtime } = attributes(source, file, target);
  if (file.kind === "symlink")
    placement.put({ path, kind: "symlink", mode: 0o777, uid, gid, mtime, size: 0, target: file.target });
  else {
    const entry = { path, kind: "file", mode, uid, gid, mtime, size: file.size, target: "" } as const;
    const extended = file.attributes === undefined ? entry : { ...entry, attributes: file.attributes };
    placement.put(extended, source.tree.bytes(file), file.inode);
  }
}

function attributes(
  { checkout }: CopySource,
  file: SourceFile,
  { owner, mode, epoch }: CopyTarget,
): { readonly mode: number; readonly uid: number; readonly gid: number; readonly mtime: number } {
  const isFolder = file.kind === "directory";
  const own = checkout ? (isFolder ? 0o755 : checkoutMode(file.mode)) : file.mode;
  return {
    mode: mode?.(own, isFolder) ?? own,
    uid: owner?.uid ?? (checkout ? 0 : file.uid),
    gid: owner?.gid ?? (checkout ? 0 : file.gid),
    mtime: checkout ? epoch : Math.min(file.mtime ?? epoch, epoch),
  };
}

/** A path of the image with symlinks followed; one at the very end only where a folder is to be there. */
function real(target: CopyTarget, path: BytePath, file: SourceFile): BytePath {
  return resolveInTree(target.base, path, file.kind === "directory");
}

/** Makes the folders above a file as they are in the source. */
function keepParents(source: CopySource, from: BytePath, below: BytePath, into: BytePath, target: CopyTarget): void {
  if (below === "") return;
  keepParents(source, from, parentOf(below), into, target);
  const folder = follow(source.tree, joinPath(from, below));
  if (folder?.kind !== "directory") return;
  const path = real(target, joinPath(into, below), folder);
  if (!target.placement.isFolder(path)) target.placement.putFolder(path, attributes(source, folder, target));
}

function splitPivot(pattern: string): readonly [pivot: string, rest: string] {
  const at = pattern.indexOf("/./");
  return at < 0 ? ["", pattern] : [pattern.slice(0, at), pattern.slice(at + 3)];
}

/** In an image ".." stops at its root; what is above the project is nobody's to take. */
function cleanPath(pattern: string, { checkout }: CopySource): BytePath {
  if (checkout && posix.normalize(pattern.replace(/^\/+/, "")).split("/").includes(".."))
    throw new OperatorError("BUILD_FAILED", `Cannot copy "${pattern}" into an image: it is outside the project`, {
      hint: "move the files into the project's folder",
    });
  return toBytePath(posix.resolve("/", pattern).slice(1));
}

/** Paths that a pattern names, in the order of their bytes. */
function expand(tree: SourceTree, from: BytePath, pattern: BytePath): readonly BytePath[] {
  const parts = pattern.split("/");
  const fixed = parts.findIndex((part) => hasWildcard(part));
  const start = follow(tree, joinPath(from, ...parts.slice(0, fixed)));
  if (start?.kind !== "directory") return [];
  const rest = parts.slice(fixed).join("/");
  const deep = rest.includes("**");
  const matches = new RegExp(`^${globSource(rest)}$`, "s");
  const found: BytePath[] = [];
  for (const { path } of tree.walk(start.path, deep ? undefined : parts.length - fixed)) {
    const below = path.slice(start.path.length).replace(/^\//, "");
    if (below !== "" && (deep || levelOf(below) === parts.length - fixed) && matches.test(below)) found.push(path);
  }
  return found;
}

function nothingAt({ pattern, checkout }: CopySource): OperatorError {
  return new OperatorError("BUILD_FAILED", `Cannot copy "${pattern}": nothing is there`, {
    hint: checkout
      ? "paths are relative to the project's folder; what .dockerignore names does not count"
      : "paths are those of the stage or image that --from names",
  });
}
