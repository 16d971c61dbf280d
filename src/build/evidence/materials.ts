import { mediaTypes } from "../../image/media-types.ts";
import { describe } from "../../image/oci.ts";
import { emptyConfig, serialiseReferrer } from "../../image/referrer.ts";
import { sha256, type Digest } from "../../model/canonical.ts";
import type { Blobs, Descriptor, Store } from "../../ports/store.ts";

/** What the manifest is that keeps the blobs which provenance names. */
export const materialsType = "application/vnd.bronze.materials.v1+json";

export const materialTypes = {
  log: "text/plain",
  contextList: "application/vnd.bronze.context.v1+json",
  contextContents: "application/vnd.bronze.context.contents.v1.tar",
  download: "application/octet-stream",
} as const;

/** A blob that a build leaves besides its image. */
export interface Material {
  readonly descriptor: Descriptor;
  /** What it is, for people. */
  readonly title: string;
}

/** Writes bytes that are to be kept. */
export async function putMaterial(
  blobs: Pick<Blobs, "stat" | "write">,
  title: string,
  mediaType: string,
  bytes: Buffer,
): Promise<Material> {
  const digest = sha256(bytes);
  // One that is there, the store's or the cache's, is checked before it is used.
  if ((await blobs.stat(digest)) !== bytes.byteLength) await blobs.write(bytes, { digest });
  return { title, descriptor: { mediaType, digest, size: bytes.byteLength } };
}

/**
 * Keeps blobs beside an artifact: they are the layers of a manifest whose subject it is, so that whoever keeps, sends or
 * removes the artifact does so with them.
 *
 * @returns digest of the manifest
 * @see OCI image specification 1.1, `subject`
 */
export async function keepMaterials(
  store: Pick<Store, "read" | "stat" | "write" | "attach" | "referrers">,
  artifact: Descriptor,
  materials: readonly Material[],
): Promise<Digest> {
  const unique = new Map(materials.map((material) => [material.descriptor.digest, material]));
  const layers = [...unique.values()]
    .sort((a, b) => (a.descriptor.digest < b.descriptor.digest ? -1 : 1))
    .map(({ descriptor, title }) => ({
      ...describeAgain(descriptor),
      annotations: { "org.opencontainers.image.title": title },
    }));
  const manifest = serialiseReferrer({
    subject: describeAgain(artifact),
    artifactType: materialsType,
    layers,
    annotations: {},
  });
  const digest = sha256(manifest);
  const known = await store.referrers(artifact.digest, materialsType);
  if (known.some((one) => one.digest === digest)) return digest;
  const config = describe(mediaTypes.empty, emptyConfig);
  if ((await store.stat(config.digest)) === undefined) await store.write(emptyConfig);
  return (await store.attach(manifest)).digest;
}

function describeAgain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}
