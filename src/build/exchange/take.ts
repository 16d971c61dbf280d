import { OperatorError } from "../../errors/operator-error.ts";
import { layerCompression } from "../../image/media-types.ts";
import { parseConfig, parseManifest, parseObject, type ImageConfig, type Manifest } from "../../image/oci.ts";
import { fullName, platformName, shortName, type ImageReference } from "../../image/reference.ts";
import { digestHex, type Digest } from "../../model/canonical.ts";
import type { Registry, TransferOptions } from "../../ports/registry.ts";
import type { Store } from "../../ports/store.ts";
import { verifyLayer } from "../layer/verify.ts";

export interface TakeOptions extends TransferOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly platform: string;
}

/**
 * Brings an image of a registry into the store, every layer verified against the config; nothing is asked of the
 * registry when the store has it.
 *
 * @returns true when something had to be fetched
 * @throws {OperatorError} `NOT_FOUND`, `REGISTRY_FAILED`, `VERIFICATION_FAILED`
 */
export async function takeImage(reference: ImageReference, digest: Digest, options: TakeOptions): Promise<boolean> {
  const { store, registry, platform, signal } = options;
  if ((await platformInStore(store, digest)) === platform) return false;
  let image: ImageConfig | undefined;
  await registry.pull(reference, digest, store, {
    ...options,
    checkImage(manifest, config) {
      image = parseConfig(config);
      checkParts(fullName(reference), parseManifest(manifest), image);
      const got = platformName(image.os, image.architecture, image.variant);
      if (got !== platform) throw refused(fullName(reference), `it is for ${got} and not for ${platform}`);
    },
    checkLayer: (layer, position, file) => verifyLayer(file, layer, image?.diffIds[position] as Digest, signal),
  });
  await markPulled(store, reference, digest);
  return true;
}

/**
 * For which platform an image of the store is.
 *
 * @returns undefined unless the store has all of it; a manifest is stored after what it names, and all is verified
 * @throws {OperatorError} `VERIFICATION_FAILED` when the digest is something else than an image's manifest
 */
export async function platformInStore(store: Store, digest: Digest): Promise<string | undefined> {
  if ((await store.stat(digest)) === undefined) return undefined;
  const manifest = parseManifest(await store.read(digest));
  const parts = [manifest.config, ...manifest.layers];
  const sizes = await Promise.all(parts.map((part) => store.stat(part.digest)));
  if (sizes.includes(undefined)) return undefined;
  const { os, architecture, variant } = parseConfig(await store.read(manifest.config.digest));
  return platformName(os, architecture, variant);
}

/**
 * Remembers where an image came from, as one more name in its repository: that registry knows what is newest, and need
 * not be sent its layers.
 */
export async function markPulled(store: Store, reference: ImageReference, digest: Digest): Promise<void> {
  await store.tag(markOf(reference, digest), digest);
}

/** Whether an image of the store came from the repository that a name is of. */
export async function wasPulled(store: Store, reference: ImageReference, digest: Digest): Promise<boolean> {
  return (await store.resolve(markOf(reference, digest))) === digest;
}

/** Whether a name in the store is there for Bronze itself, and not for people. */
export function isMark(name: string): boolean {
  return /^imported:|:pulled-[0-9a-f]{32}$/.test(name);
}

/** Whether a document is an index of images, and not an image's manifest. */
export function isIndex(bytes: Uint8Array): boolean {
  return Array.isArray(parseObject(bytes, "manifest")["manifests"]);
}

/** @throws {OperatorError} `VERIFICATION_FAILED` when manifest and config do not fit each other, or layers are of no known kind */
export function checkParts(name: string, manifest: Manifest, image: ImageConfig): void {
  if (image.diffIds.length !== manifest.layers.length)
    throw refused(name, `its manifest has ${manifest.layers.length} layers, its config ${image.diffIds.length}`);
  const odd = manifest.layers.find((layer) => layerCompression(layer.mediaType) === undefined);
  if (odd !== undefined) throw refused(name, `a layer is of the kind ${odd.mediaType.slice(0, 100)}`);
}

function markOf(reference: ImageReference, digest: Digest): string {
  return shortName({ ...reference, tag: `pulled-${digestHex(digest).slice(0, 32)}` });
}

function refused(name: string, state: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot take the image ${name}: ${state}`, {
    hint: "take another image, or tell those who publish it",
  });
}
