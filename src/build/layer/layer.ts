import { mediaTypes } from "../../image/media-types.ts";
import { writeTar, type TarSource } from "../../image/tar-write.ts";
import { isDigest, sha256 } from "../../model/canonical.ts";
import type { Descriptor, Store } from "../../ports/store.ts";
import { readBaseTree } from "./base-tree.ts";
import { streamOf } from "./blob.ts";
import type { BuildCache } from "../cache.ts";
import { composeLayer, type LayerPart } from "./compose.ts";

/** A change younger than this may share its time stamp with the next one, so it is not remembered. */
const racyMs = 2000;

export interface LayerRequest {
  readonly store: Store;
  readonly cache: BuildCache;
  readonly signal: AbortSignal;
  readonly epoch: number;
  /** Layers below, in order. */
  readonly base: readonly Descriptor[];
}

/** Writes one uncompressed layer and returns its descriptor; its digest is its diff_id too. */
export async function writeLayer(store: Store, sources: Iterable<TarSource>, signal: AbortSignal): Promise<Descriptor> {
  const written = await store.write(streamOf(writeTar(sources), signal));
  return { mediaType: mediaTypes.layer, digest: written.digest, size: written.size };
}

/** Makes a layer of files, or finds the one that was made of the very same files before. */
export async function buildLayer(
  parts: readonly LayerPart[],
  request: LayerRequest,
): Promise<{ layer: Descriptor; cached: boolean }> {
  const key = {
    version: 1,
    epoch: request.epoch,
    base: request.base.map((layer) => layer.digest),
    parts: sha256(fingerprint(parts)),
  };
  const known = (await request.cache.read("layers", key)) as { digest?: unknown; size?: unknown } | undefined;
  if (
    typeof known?.digest === "string" &&
    isDigest(known.digest) &&
    (await request.store.stat(known.digest)) === known.size
  ) {
    return { layer: { mediaType: mediaTypes.layer, digest: known.digest, size: Number(known.size) }, cached: true };
  }
  const startedAtMs = Date.now();
  const tree = await readBaseTree(request.store, request.base, request.cache);
  const layer = await writeLayer(request.store, composeLayer(tree, parts, request.epoch), request.signal);
  const newest = parts.reduce(
    (latest, part) =>
      part.kind === "tree" ? part.files.reduce((most, file) => Math.max(most, file.changedAtMs), latest) : latest,
    0,
  );
  if (newest < startedAtMs - racyMs)
    await request.cache.write("layers", key, { digest: layer.digest, size: layer.size });
  return { layer, cached: false };
}

function fingerprint(parts: readonly LayerPart[]): string {
  const lines: string[] = [];
  for (const part of parts) {
    if (part.kind === "folder") lines.push(JSON.stringify(["folder", part.path]));
    else {
      lines.push(JSON.stringify(["tree", part.from, part.to, part.owner.uid, part.owner.gid, part.mode ?? null]));
      for (const file of part.files) lines.push(JSON.stringify([file.path, file.kind, file.target, file.fingerprint]));
    }
  }
  return lines.join("\n");
}
