import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { mediaTypes } from "../../image/media-types.ts";
import { mostFilledBytes, tarPieces, type TarSource } from "../../image/tar-write.ts";
import { canonicalJson, isDigest } from "../../model/canonical.ts";
import type { Descriptor, Store } from "../../ports/store.ts";
import { readBaseTree } from "./base-tree.ts";
import type { BuildCache } from "../cache.ts";
import { composeLayer, type LayerPart } from "./compose.ts";
import { beginReading } from "./contents.ts";
import type { LayerSource } from "./placement.ts";
import { writeMembers, type LayerUse } from "./write-members.ts";

export interface LayerRequest {
  readonly store: Store;
  readonly cache: BuildCache;
  readonly signal: AbortSignal;
  readonly epoch: number;
  /** Layers below, in order. */
  readonly base: readonly Descriptor[];
}

export interface MadeLayer {
  /** Uncompressed: its digest is its diff_id too. */
  readonly layer: Descriptor;
  /** Whether it was made before. */
  readonly cached: boolean;
}

/** Writes one uncompressed layer and returns its descriptor; its digest is its diff_id too. */
export async function writeLayer(store: Store, sources: Iterable<TarSource>, signal: AbortSignal): Promise<Descriptor> {
  const written = await store.write(tarPieces(sources, signal));
  return { mediaType: mediaTypes.layer, digest: written.digest, size: written.size };
}

/** Makes a layer of files, or finds the one that was made of the very same members before. */
export async function buildLayer(
  parts: readonly LayerPart[],
  request: LayerRequest,
  use: LayerUse = {},
): Promise<MadeLayer> {
  const tree = await readBaseTree(request.store, request.base, request.cache);
  return layerOf(composeLayer(tree, parts, request.epoch), request, use);
}

/**
 * Makes the layer of these members, or finds it. Its key is what the archive is made of: paths, kinds, modes, owners, times,
 * link targets and the names of the contents, so that neither a touch nor another checkout misses, and no change is missed.
 */
export async function layerOf(
  sources: readonly LayerSource[],
  { store, cache, signal }: Pick<LayerRequest, "store" | "cache" | "signal">,
  use: LayerUse = {},
): Promise<MadeLayer> {
  // Where nothing of this shape was ever made, contents are not read for their names before they are read for the layer.
  const shape = { version: 1, shape: keyOf(sources, ({ size }) => String(size)) };
  if ((await cache.read("shapes", shape)) !== undefined) {
    await readForNames(sources, signal);
    const known = (await cache.read("layers", contentKey(sources))) as { digest?: unknown; size?: unknown } | undefined;
    if (
      typeof known?.digest === "string" &&
      isDigest(known.digest) &&
      (await store.stat(known.digest)) === known.size
    ) {
      use.record?.(known.digest, sources);
      return {
        layer: { mediaType: mediaTypes.layer, digest: known.digest, size: Number(known.size) },
        cached: true,
      };
    }
  }
  const writing = await writeMembers(sources, use, { store, cache });
  const endReading = beginReading(writing.unread);
  const layer = await writeLayer(store, writing.sources, signal).finally(() => {
    endReading();
    writing.close();
  });
  await Promise.all([
    cache.write("layers", contentKey(sources), { digest: layer.digest, size: layer.size }),
    cache.write("shapes", shape, true),
    writing.save(layer.digest),
  ]);
  use.record?.(layer.digest, sources);
  return { layer, cached: false };
}

const turnBytes = 8 << 20;
const turnFiles = 500;

/** Reads what has no name yet, giving way to Ctrl-C and to what shows progress. */
async function readForNames(sources: readonly LayerSource[], signal: AbortSignal): Promise<void> {
  const unnamed = sources.filter(({ bytes }) => bytes !== undefined && bytes.known() === undefined);
  const scratch = Buffer.allocUnsafe(mostFilledBytes + 1);
  let bytesLeft = turnBytes;
  let filesLeft = turnFiles;
  const endReading = beginReading(unnamed);
  try {
    for (const { entry, bytes } of unnamed) {
      if (entry.size <= mostFilledBytes) bytes?.fill(scratch, 0, 0);
      else {
        for (const piece of bytes?.read() ?? []) {
          bytesLeft -= piece.byteLength;
          if (bytesLeft > 0) continue;
          await nextTurn();
          signal.throwIfAborted();
          bytesLeft = turnBytes;
        }
      }
      if ((filesLeft -= 1) > 0) continue;
      await nextTurn();
      signal.throwIfAborted();
      filesLeft = turnFiles;
    }
  } finally {
    endReading();
  }
}

function contentKey(sources: readonly LayerSource[]): { readonly version: 1; readonly members: string } {
  return { version: 1, members: keyOf(sources, ({ path }, bytes) => bytes.known() ?? unnamed(path)) };
}

/** sha256 of all members, each as fields that end in NUL, which none of them holds but the last, which has its length before it. */
function keyOf(
  sources: readonly LayerSource[],
  nameOf: (entry: LayerSource["entry"], bytes: NonNullable<LayerSource["bytes"]>) => string,
): string {
  const sum = createHash("sha256");
  let text = "";
  for (const { entry, bytes } of sources) {
    const { kind, mode, uid, gid, mtime, target, path, attributes } = entry;
    const name = bytes === undefined ? "" : nameOf(entry, bytes);
    const extended = attributes === undefined ? "" : canonicalJson(attributes);
    text += `${kind}\0${mode}\0${uid}\0${gid}\0${mtime}\0${extended}\0${path}\0${target}\0${name.length}\0${name}`;
    if (text.length > 1 << 20) {
      sum.update(text, "latin1");
      text = "";
    }
  }
  return sum.update(text, "latin1").digest("hex");
}

function unnamed(path: string): never {
  throw new Error(`the content of ${JSON.stringify(path)} has no name after it was read`);
}
