import type { Digest, Json } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import { readImage } from "../image-state.ts";
import { billOf } from "./sbom/sbom.ts";

/**
 * The bill of materials of an image of the store, whoever built it. What compressed layers unpack to is not kept.
 *
 * @throws {OperatorError} `NOT_FOUND`, `VERIFICATION_FAILED`, `DISK_FULL`
 */
export async function billOfStored(
  store: Store,
  artifact: Digest,
  options: {
    readonly cache: BuildCache;
    readonly signal: AbortSignal;
    readonly tools: { readonly [name: string]: string };
  },
): Promise<{ readonly [name: string]: Json }> {
  const { manifest, image } = await readImage(store, artifact);
  const layers = manifest.layers.map((descriptor, index) => ({
    descriptor,
    diffId: image.diffIds[index] ?? descriptor.digest,
  }));
  const stage = await store.stage();
  try {
    const text = await billOf(layers, { blobs: stage, name: artifact, ...options });
    return JSON.parse(text) as { readonly [name: string]: Json };
  } finally {
    await stage.discard();
  }
}
