import { createReadStream } from "node:fs";
import { diffJson, shorten, type Difference } from "../image/difference.ts";
import { layerInstructions, parseConfig, parseManifest, parseObject } from "../image/oci.ts";
import { diffBytes, diffTars } from "../image/tar-difference.ts";
import type { Digest, Json } from "../model/canonical.ts";
import type { Blobs, Descriptor } from "../ports/store.ts";
import { layerTar } from "./layer/blob.ts";

/** An artifact and where its blobs are. */
export interface StoredArtifact {
  readonly blobs: Blobs;
  readonly digest: Digest;
}

/** A difference, and in which part of two artifacts it is. */
export interface ArtifactDifference extends Difference {
  readonly part: "layer" | "config" | "manifest";
  /** Of a layer, from 1. */
  readonly layer?: number;
  /** The instruction that made the layer. */
  readonly createdBy?: string;
}

/**
 * Where two artifacts differ: layers member by member, then configs and manifests field by field. What only follows from
 * a difference told before, such as a layer's digest in the manifest, is not told again.
 *
 * @throws {OperatorError} `NOT_FOUND`, `VERIFICATION_FAILED` for blobs that are no image's
 */
export async function* compareArtifacts(
  first: StoredArtifact,
  second: StoredArtifact,
): AsyncGenerator<ArtifactDifference> {
  if (first.digest === second.digest) return;
  const [one, two] = [await openImage(first), await openImage(second)];
  for (let index = 0; index < Math.max(one.layers.length, two.layers.length); index += 1) {
    const [mine, theirs] = [one.layers[index], two.layers[index]];
    if (mine?.digest === theirs?.digest) continue;
    const of = { part: "layer", layer: index + 1, createdBy: (mine ?? theirs)?.createdBy ?? "" } as const;
    if (mine === undefined || theirs === undefined) {
      const [shownFirst, shownSecond] = [mine, theirs].map((layer) => layer?.digest ?? "absent");
      yield { ...of, path: "", field: "presence", first: shownFirst ?? "", second: shownSecond ?? "" };
      continue;
    }
    yield* compareLayers(first.blobs, mine, second.blobs, theirs, of);
  }
  for (const difference of diffJson(one.config, two.config)) {
    if (!difference.path.startsWith("rootfs.diff_ids[")) yield { ...difference, part: "config" };
  }
  for (const difference of diffJson(one.manifest, two.manifest)) {
    if (!/^(layers\[\d+\]|config)\.(digest|size)$/.test(difference.path)) yield { ...difference, part: "manifest" };
  }
}

async function* compareLayers(
  first: Blobs,
  mine: Layer,
  second: Blobs,
  theirs: Layer,
  of: Pick<ArtifactDifference, "part" | "layer" | "createdBy">,
): AsyncGenerator<ArtifactDifference> {
  let told = false;
  for await (const difference of diffTars(layerTar(first, mine), layerTar(second, theirs))) {
    told = true;
    yield { ...of, ...difference };
  }
  if (told) return;
  // Equal to every reader: then it is the archive's own bytes, or how they were compressed.
  const archives = await diffBytes(layerTar(first, mine), layerTar(second, theirs));
  const offset =
    archives ??
    (await diffBytes(
      createReadStream(await first.path(mine.digest)),
      createReadStream(await second.path(theirs.digest)),
    ));
  if (offset === undefined) return;
  const what = archives === undefined ? "compressed bytes" : "bytes of the archive";
  yield {
    ...of,
    path: "",
    field: "encoding",
    first: `${what}, ${mine.mediaType}`,
    second: `${what}, ${theirs.mediaType}`,
    offset,
  };
}

interface Layer extends Descriptor {
  readonly createdBy: string;
}

async function openImage({ blobs, digest }: StoredArtifact): Promise<{
  readonly manifest: Json;
  readonly config: Json;
  readonly layers: readonly Layer[];
}> {
  const bytes = await blobs.read(digest);
  const manifest = parseManifest(bytes);
  const configBytes = await blobs.read(manifest.config.digest);
  const makers = layerInstructions(parseConfig(configBytes).history);
  return {
    manifest: parseObject(bytes, "manifest") as Json,
    config: parseObject(configBytes, "config") as Json,
    layers: manifest.layers.map((layer, index) => ({ ...layer, createdBy: shorten(makers[index] ?? "") })),
  };
}
