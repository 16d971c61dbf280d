import { parseManifest } from "../../image/oci.ts";
import { fullName, readReference, type ImageReference } from "../../image/reference.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Registry } from "../../ports/registry.ts";
import type { Store } from "../../ports/store.ts";
import type { BuildEvent } from "../options.ts";
import { createTransferStep } from "../transfer-step.ts";
import { wholeReferrers } from "./referrers.ts";
import { isIndex } from "./take.ts";

export interface PushOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
}

/**
 * Puts an image of the store into a registry, and with it what the store has that is said about it. Layers that another repository of that registry has, as far as names in the
 * store tell, are not sent.
 *
 * @throws {OperatorError} `NOT_FOUND`, `REGISTRY_FAILED`, `VERIFICATION_FAILED`, `ARGUMENT_INVALID` for an index, `INTERRUPTED`
 */
export async function pushImage(
  digest: Digest,
  target: ImageReference,
  { store, registry, report, signal }: PushOptions,
): Promise<{ readonly name: string; readonly digest: Digest }> {
  const name = fullName({ ...target, digest });
  const alsoIn = await layersAt(store, target);
  const step = createTransferStep(report, "push", name);
  const referrers = (await wholeReferrers(store, digest)).map(({ referrer }) => referrer);
  await step.run(() => registry.push(digest, target, store, { signal, progress: step.progress, alsoIn, referrers }));
  return { name, digest };
}

/** Layers of images in the store that are named after another repository of the same registry. */
async function layersAt(store: Store, target: ImageReference): Promise<ReadonlyMap<Digest, string>> {
  const layers = new Map<Digest, string>();
  for (const { name, digest } of await store.tags()) {
    const reference = readReference(name);
    if (typeof reference === "string" || reference.host !== target.host) continue;
    if (reference.repository === target.repository || (await store.stat(digest)) === undefined) continue;
    const bytes = await store.read(digest);
    if (!isIndex(bytes))
      for (const layer of parseManifest(bytes).layers) layers.set(layer.digest, reference.repository);
  }
  return layers;
}
