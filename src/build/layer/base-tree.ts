import { parentOf, type BytePath } from "../../image/tar-entry.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Descriptor, Store } from "../../ports/store.ts";
import { layerMembers } from "./seekable.ts";
import type { BuildCache } from "../cache.ts";

/** Owner and mode of a folder that lower layers have, or where their symlink leads. */
export type BaseNode =
  | { readonly kind: "directory"; readonly mode: number; readonly uid: number; readonly gid: number }
  | { readonly kind: "symlink"; readonly target: string };

/** Folders and symlinks of the layers below, which a new layer must not disturb. */
export type BaseTree = ReadonlyMap<BytePath, BaseNode>;

/** The same, still being put together, with what later layers need to take something away. */
interface Folded {
  readonly layers: readonly Digest[];
  readonly tree: Map<BytePath, BaseNode>;
  readonly inside: Inside;
}

/** Of each build what was put together last: the next step mostly has one layer more. */
const latest = new WeakMap<BuildCache, Folded>();

type Row = readonly [path: string, kind: "d" | "l" | "w" | "o", ...rest: (string | number)[]];

/** Reads the layers' folders and symlinks in order; each layer only once per cache. */
export async function readBaseTree(store: Store, layers: readonly Descriptor[], cache: BuildCache): Promise<BaseTree> {
  const digests = layers.map(({ digest }) => digest);
  const { layers: done, tree, inside } = takeFolded(cache, digests);
  for (const layer of layers.slice(done.length)) {
    const known = await cache.read("trees", { layer: layer.digest });
    const rows = Array.isArray(known) ? (known as Row[]) : await scan(store, layer);
    if (known === undefined) await cache.write("trees", { layer: layer.digest }, rows);
    for (const row of rows) apply(tree, inside, row);
  }
  latest.set(cache, { layers: digests, tree, inside });
  return tree;
}

/** What can be gone on with, for one alone: another stage that asks meanwhile begins anew. */
function takeFolded(cache: BuildCache, wanted: readonly Digest[]): Folded {
  const folded = latest.get(cache);
  if (folded === undefined || !folded.layers.every((digest, index) => digest === wanted[index]))
    return { layers: [], tree: new Map(), inside: new Map() };
  latest.delete(cache);
  // Who got the tree keeps it as it is.
  return { ...folded, tree: new Map(folded.tree) };
}

async function scan(store: Store, layer: Descriptor): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for await (const { entry } of layerMembers(store, layer)) {
    const name = entry.path.slice(entry.path.lastIndexOf("/") + 1);
    if (name === ".wh..wh..opq") rows.push([parentOf(entry.path), "o"]);
    else if (name.startsWith(".wh.")) rows.push([[parentOf(entry.path), name.slice(4)].filter(Boolean).join("/"), "w"]);
    else if (entry.kind === "directory") rows.push([entry.path, "d", entry.mode, entry.uid, entry.gid]);
    else if (entry.kind === "symlink") rows.push([entry.path, "l", entry.target]);
  }
  return rows;
}

/** What is directly in each folder, named or not: hostile layers have a million members, and each may hide others. */
type Inside = Map<BytePath, Set<BytePath>>;

function place(inside: Inside, path: BytePath): void {
  for (let child = path; child !== ""; child = parentOf(child)) {
    const siblings = inside.get(parentOf(child));
    if (siblings?.has(child) === true) return;
    if (siblings === undefined) inside.set(parentOf(child), new Set([child]));
    else siblings.add(child);
  }
}

function removeInside(tree: Folded["tree"], inside: Inside, path: BytePath): void {
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const child of inside.get(next) ?? []) {
      tree.delete(child);
      waiting.push(child);
    }
    inside.delete(next);
  }
}

function apply(tree: Folded["tree"], inside: Inside, row: Row): void {
  const [path, kind, first, uid, gid] = row;
  if (kind === "d") tree.set(path, { kind: "directory", mode: Number(first), uid: Number(uid), gid: Number(gid) });
  else {
    removeInside(tree, inside, path);
    if (kind === "l") tree.set(path, { kind: "symlink", target: String(first) });
    else if (kind === "w") tree.delete(path);
  }
  if (kind === "d" || kind === "l") place(inside, path);
}

/**
 * Where a path of the image really is, symlinks of the layers below followed.
 *
 * @param last whether a symlink at the very end is followed too
 */
export function resolveInTree(tree: BaseTree, path: BytePath, last: boolean): BytePath {
  let done: string[] = [];
  const rest = path.split("/").filter((part) => part !== "");
  for (let hops = 0; rest.length > 0;) {
    const part = rest.shift() as string;
    if (part === ".") continue;
    if (part === "..") {
      done.pop();
      continue;
    }
    const node = tree.get([...done, part].join("/"));
    if (node?.kind !== "symlink" || (rest.length === 0 && !last) || ++hops > 40) {
      done.push(part);
      continue;
    }
    if (node.target.startsWith("/")) done = [];
    rest.unshift(...node.target.split("/").filter((piece) => piece !== ""));
  }
  return done.join("/");
}

/**
 * Resolves paths below a folder of the image, which come folder by folder: where a folder really is, is looked up once.
 *
 * @returns a function of a path relative to the folder, and of whether a symlink at its very end is followed too
 */
export function resolverBelow(tree: BaseTree, folder: BytePath): (below: BytePath, last: boolean) => BytePath {
  /** Of the path before: what it is in, and what stands for that in the image; both with their slash. */
  let above: BytePath | undefined;
  let real: BytePath = "";
  return (below, last) => {
    if (below === "" || last) return resolveInTree(tree, [folder, below].filter((part) => part !== "").join("/"), last);
    const length = below.lastIndexOf("/") + 1;
    if (length !== above?.length || !below.startsWith(above)) {
      above = below.slice(0, length);
      const path = resolveInTree(tree, `${folder}/${above}`, true);
      real = path === "" ? "" : `${path}/`;
    }
    return real + (length === 0 ? below : below.slice(length));
  };
}
