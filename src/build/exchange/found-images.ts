import { open } from "node:fs/promises";
import { isIndexType, mediaTypes } from "../../image/media-types.ts";
import { describe, parseIndex, parseJson, serialiseManifest, type BlobDescriptor } from "../../image/oci.ts";
import { readReference, storeName } from "../../image/reference.ts";
import { isDigest, type Digest } from "../../model/canonical.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";
import { machineArchitecture } from "../image-state.ts";
import { importRefused } from "./import-refused.ts";
import { isReferrer } from "./referrers.ts";
import type { Layout } from "./layout.ts";

/** One of the images that an archive or folder holds. */
export interface FoundImage {
  /** As they would be in the store. */
  readonly names: readonly string[];
  /** As the archive says them. */
  readonly labels: readonly string[];
  /** Brings its manifest into the store. */
  take(): Promise<Digest>;
}

const mostDepth = 4;

/** The images of an OCI layout that fit this machine. @throws {OperatorError} `VERIFICATION_FAILED` */
export function imagesOfIndex(path: string, index: Buffer, layout: Layout, store: Blobs): readonly FoundImage[] {
  const found = new Map<Digest, { readonly entry: BlobDescriptor; readonly labels: string[] }>();
  for (const entry of fitting(path, index)) {
    const { annotations = {} } = entry;
    const label = annotations["io.containerd.image.name"] ?? annotations["org.opencontainers.image.ref.name"];
    const known = found.get(entry.digest) ?? { entry, labels: [] };
    if (label !== undefined) known.labels.push(label);
    found.set(entry.digest, known);
  }
  return [...found.values()].map(({ entry, labels }) => ({
    labels,
    names: labels.flatMap(nameOf),
    take: () => takeManifest(path, entry, layout, store),
  }));
}

/** The images of what `docker save` wrote. @throws {OperatorError} `VERIFICATION_FAILED` */
export function imagesOfSave(path: string, list: Buffer, layout: Layout, store: Blobs): readonly FoundImage[] {
  const images = parseJson(list, "manifest.json");
  if (!Array.isArray(images) || images.length > 1000) throw importRefused(path, "its manifest.json is no list");
  return (images as { Config?: unknown; Layers?: unknown; RepoTags?: unknown }[]).map((image) => {
    const tags: readonly unknown[] = Array.isArray(image.RepoTags) ? image.RepoTags : [];
    const labels = tags.filter((tag): tag is string => typeof tag === "string");
    return { labels, names: labels.flatMap(nameOf), take: () => composeManifest(path, image, layout, store) };
  });
}

/** What an archive calls an image, as a name of the store; a tag alone is none. */
function nameOf(label: string): readonly string[] {
  const reference = /[:/]/.test(label) ? readReference(label) : "a tag alone";
  const name = typeof reference === "string" ? null : storeName(reference);
  return name === null ? [] : [name];
}

function fitting(path: string, index: Buffer): readonly BlobDescriptor[] {
  const machine = machineArchitecture();
  const images = parseIndex(index).filter(
    ({ mediaType, platform, ...entry }) =>
      !isReferrer({ mediaType, ...entry }) &&
      (isIndexType(mediaType) || mediaType === mediaTypes.manifest || mediaType === mediaTypes.dockerManifest) &&
      (platform === undefined || (platform.os === "linux" && platform.architecture === machine)),
  );
  if (images.length === 0) throw importRefused(path, `it holds no image for linux/${machine}`);
  return images;
}

/** Follows an index to this machine's image. */
async function takeManifest(path: string, from: BlobDescriptor, layout: Layout, store: Blobs): Promise<Digest> {
  let entry = from;
  for (let depth = 1; depth < mostDepth; depth++) {
    await layout.take(entry);
    if (!isIndexType(entry.mediaType)) return entry.digest;
    const [first, second] = fitting(path, await store.read(entry.digest));
    if (first === undefined || (second !== undefined && second.digest !== first.digest))
      throw importRefused(path, "an index in it names several images for this machine");
    entry = first;
  }
  throw importRefused(path, "its indexes are nested too deeply");
}

async function composeManifest(
  path: string,
  image: { readonly Config?: unknown; readonly Layers?: unknown },
  layout: Layout,
  store: Blobs,
): Promise<Digest> {
  const { Config: name, Layers: layers } = image;
  if (
    typeof name !== "string" ||
    !Array.isArray(layers) ||
    layers.length > 256 ||
    !layers.every((layer) => typeof layer === "string")
  )
    throw importRefused(path, "its manifest.json names no config and layers");
  const config = await layout.takeFile(name);
  const named = `sha256:${/([0-9a-f]{64})(\.json)?$/.exec(name)?.[1] ?? ""}`;
  if (isDigest(named) && named !== config.digest) throw importRefused(path, `its config ${name} is ${config.digest}`);
  const descriptors: Descriptor[] = [];
  for (const layer of layers) {
    const file = await layout.takeFile(layer);
    descriptors.push({ mediaType: await layerType(await store.path(file.digest)), ...file });
  }
  const manifest = serialiseManifest({
    config: { mediaType: mediaTypes.config, ...config },
    layers: descriptors,
    annotations: {},
  });
  return (await store.write(manifest, describe(mediaTypes.manifest, manifest))).digest;
}

/** Such archives do not say how a layer is compressed: its first bytes do. */
async function layerType(file: string): Promise<string> {
  const start = Buffer.alloc(4);
  const handle = await open(file);
  try {
    await handle.read(start, 0, 4, 0);
  } finally {
    await handle.close();
  }
  if (start.readUInt16BE(0) === 0x1f8b) return `${mediaTypes.layer}+gzip`;
  return start.readUInt32LE(0) === 0xfd2fb528 ? `${mediaTypes.layer}+zstd` : mediaTypes.layer;
}
