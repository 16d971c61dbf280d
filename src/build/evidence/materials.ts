import { serialiseReferrer } from "../../image/referrer.ts";
import { sha256 } from "../../model/canonical.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";

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
 * What keeps blobs beside an artifact: they are the layers of a manifest whose subject it is, so that whoever keeps, sends or
 * removes the artifact does so with them. Its config is the empty one.
 *
 * @see OCI image specification 1.1, `subject`
 */
export function materialsManifest(artifact: Descriptor, materials: readonly Material[]): Buffer {
  const unique = new Map(materials.map((material) => [material.descriptor.digest, material]));
  const layers = [...unique.values()]
    .sort((a, b) => (a.descriptor.digest < b.descriptor.digest ? -1 : 1))
    .map(({ descriptor, title }) => ({
      ...describeAgain(descriptor),
      annotations: { "org.opencontainers.image.title": title },
    }));
  return serialiseReferrer({ subject: describeAgain(artifact), artifactType: materialsType, layers, annotations: {} });
}

function describeAgain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}
