import { createReadStream } from "node:fs";
import { createLayerCheck } from "../../image/layer-check.ts";
import { parentOf, type BytePath, type TarEntry } from "../../image/tar-entry.ts";
import { readTar } from "../../image/tar-read.ts";
import type { Json } from "../../model/canonical.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { Blobs } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import type { LayerBytes } from "./contents.ts";
import { bytesOfRange } from "./file-range.ts";
import { plainTar } from "./plain-tar.ts";
import { levelOf } from "./walk.ts";
import { nameOf, joinPath, type SourceFile, type SourceTree } from "./source-tree.ts";

/** A file of an image, with where its bytes are. */
export interface ImageFile extends SourceFile {
  readonly mtime: number;
  readonly layer: StepLayer;
  readonly offset: number;
}

/** What a layer has at a path, and where its bytes begin in the plain tar. */
type Member = readonly [
  path: BytePath,
  kind: TarEntry["kind"],
  mode: number,
  uid: number,
  gid: number,
  mtime: number,
  size: number,
  target: string,
  offset: number,
  attributes?: TarEntry["attributes"],
];

export interface ImageTreeOptions {
  readonly blobs: Blobs;
  readonly cache: BuildCache;
  readonly signal: AbortSignal;
  /** False: names with `.wh.` are files like any other, as in an archive that is no layer. */
  readonly whiteouts?: boolean;
}

/**
 * The files that the layers of an image make together. Nothing is unpacked: a file's bytes are read out of its layer.
 *
 * @param layers lowest first
 * @throws {OperatorError} `VERIFICATION_FAILED` for a layer that no reader should take, `NOT_FOUND`
 */
export async function openImageTree(layers: readonly StepLayer[], options: ImageTreeOptions): Promise<SourceTree> {
  const files = new Map<BytePath, ImageFile>();
  const inside = new Map<BytePath, Set<string>>();
  const paths = new Map<StepLayer, string>();
  for (const layer of layers) {
    paths.set(layer, await plainTar(options.blobs, layer, options.signal));
    for (const member of await readMembers(layer, paths.get(layer) ?? "", options))
      apply(files, inside, layer, member, options.whiteouts !== false);
  }
  const at = (path: BytePath): ImageFile | undefined =>
    files.get(path) ?? (path === "" || inside.has(path) ? impliedFolder(path, layers[0]) : undefined);
  return {
    at,
    *walk(start, depth = Number.POSITIVE_INFINITY) {
      const deepest = levelOf(start) + depth;
      const waiting = [start];
      for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
        const file = at(path);
        if (file === undefined) continue;
        yield file;
        if (file.kind !== "directory" || levelOf(path) >= deepest) continue;
        const names = [...(inside.get(path) ?? [])].sort().reverse();
        for (const name of names) waiting.push(joinPath(path, name));
      }
    },
    bytes: (file) => memberBytes(file as ImageFile, paths.get((file as ImageFile).layer) ?? ""),
  };
}

async function readMembers(layer: StepLayer, path: string, options: ImageTreeOptions): Promise<readonly Member[]> {
  const key = { version: 2, tar: layer.diffId };
  const known = await options.cache.read("members", key);
  if (Array.isArray(known)) return known as Member[];
  const members: Member[] = [];
  const check = createLayerCheck();
  const source = createReadStream(path, { highWaterMark: 1 << 20, signal: options.signal });
  for await (const { entry, offset } of readTar(source)) {
    check(entry);
    const { kind, mode, uid, gid, mtime, size, target, attributes } = entry;
    const row = [entry.path, kind, mode, uid, gid, mtime, size, target, offset] as const;
    members.push(attributes === undefined ? row : [...row, attributes]);
  }
  await options.cache.write("members", key, members as unknown as Json);
  return members;
}

function apply(
  files: Map<BytePath, ImageFile>,
  inside: Map<BytePath, Set<string>>,
  layer: StepLayer,
  member: Member,
  whiteouts: boolean,
): void {
  const [path, kind, mode, uid, gid, mtime, size, target, offset, attributes] = member;
  const name = nameOf(path);
  if (whiteouts && name === ".wh..wh..opq") return removeInside(files, inside, parentOf(path));
  if (whiteouts && name.startsWith(".wh.")) {
    const gone = joinPath(parentOf(path), name.slice(4));
    removeInside(files, inside, gone);
    files.delete(gone);
    inside.get(parentOf(path))?.delete(name.slice(4));
    return;
  }
  if (path === "") return;
  if (kind !== "directory") removeInside(files, inside, path);
  const common = { path, mode, uid, gid, mtime, layer };
  if (kind === "hardlink") {
    const first = files.get(target);
    if (first !== undefined) files.set(path, { ...first, path });
  } else if (kind === "directory" || kind === "symlink")
    files.set(path, { ...common, kind, size: 0, target, inode: undefined, offset });
  else if (kind === "file")
    files.set(path, { ...common, kind, size, target: "", inode: `${layer.diffId}:${offset}`, offset, attributes });
  else files.set(path, { ...common, kind: "other", size: 0, target: "", inode: undefined, offset });
  for (let child = path; child !== ""; child = parentOf(child)) {
    const siblings = inside.get(parentOf(child));
    if (siblings?.has(nameOf(child)) === true) break;
    if (siblings === undefined) inside.set(parentOf(child), new Set([nameOf(child)]));
    else siblings.add(nameOf(child));
  }
}

function removeInside(files: Map<BytePath, ImageFile>, inside: Map<BytePath, Set<string>>, path: BytePath): void {
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const name of inside.get(next) ?? []) {
      files.delete(joinPath(next, name));
      waiting.push(joinPath(next, name));
    }
    inside.delete(next);
  }
}

/** A folder that no layer names, only what is in it. */
function impliedFolder(path: BytePath, layer: StepLayer | undefined): ImageFile | undefined {
  if (layer === undefined) return undefined;
  const common = { mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, offset: 0 };
  return { path, kind: "directory", target: "", inode: undefined, layer, ...common };
}

function memberBytes({ layer, offset, size }: ImageFile, path: string): LayerBytes {
  // Part of a layer that was verified: its place names it as well as a digest would.
  return bytesOfRange({ path, offset, size, name: `${layer.diffId}:${offset}:${size}` });
}
