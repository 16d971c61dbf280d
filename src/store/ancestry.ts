import { OperatorError } from "../errors/operator-error.ts";
import { parseConfig, parseManifest } from "../image/oci.ts";
import type { Digest } from "../model/canonical.ts";
import { claimedBases } from "./claimed-bases.ts";
import type { Store } from "../ports/store.ts";
import type { Descent, Verifier } from "../ports/verifier.ts";

/** What is asked of a store to know what images were made from. */
type Source = Pick<Store, "read" | "referrers" | "buildOf" | "builds" | "tags">;

/**
 * Tells what artifacts were made from: by who built them here; where nobody did, by what they say of themselves and by
 * layers: an image that begins with all layers of another one was made from it, or is it under another name.
 */
export function createAncestry(store: Source): Pick<Verifier, "descents" | "descendants"> {
  /** What a digest names never changes; what the store lacks now it may have later. */
  const known = new Map<Digest, readonly Digest[]>();
  const layersOf = async (image: Digest): Promise<readonly Digest[] | undefined> => {
    const layers = known.get(image) ?? (await readLayers(store, image));
    if (layers !== undefined) known.set(image, layers);
    return layers;
  };
  return {
    async descents(artifact, from) {
      const bases = await Promise.all(from.map(async (image) => ({ image, layers: await layersOf(image) })));
      const found: Descent[] = [];
      const ways = new Map<Digest, readonly Digest[]>([[artifact, [artifact]]]);
      for (const [image, chain] of ways) {
        if (from.includes(image)) found.push({ artifact, from: image, chain });
        const build = await store.buildOf(image);
        for (const parent of build?.from ?? []) if (!ways.has(parent)) ways.set(parent, [...chain, parent]);
        if (build !== undefined) continue;
        for (const parent of await claimedBases(store, image))
          if (!ways.has(parent)) ways.set(parent, [...chain, parent]);
        const layers = await layersOf(image);
        for (const base of bases)
          if (!ways.has(base.image) && beginsWith(layers, base.layers)) ways.set(base.image, [...chain, base.image]);
      }
      return found;
    },

    async descendants(image) {
      const builds = await store.builds();
      const built = new Set(builds.map(({ artifact }) => artifact));
      const children = new Map<Digest, Digest[]>();
      for (const { artifact, from } of builds)
        for (const parent of from) children.set(parent, [...(children.get(parent) ?? []), artifact]);
      const others = new Set((await store.tags()).map(({ digest }) => digest).filter((digest) => !built.has(digest)));
      const ways = new Map<Digest, readonly Digest[]>([[image, [image]]]);
      const base = await layersOf(image);
      for (const other of others) {
        if (!ways.has(other) && beginsWith(await layersOf(other), base)) ways.set(other, [other, image]);
        for (const parent of await claimedBases(store, other))
          children.set(parent, [...(children.get(parent) ?? []), other]);
      }
      for (const [parent, chain] of ways)
        for (const child of children.get(parent) ?? []) if (!ways.has(child)) ways.set(child, [child, ...chain]);
      return [...ways]
        .filter(([artifact]) => artifact !== image)
        .map(([artifact, chain]) => ({ artifact, from: image, chain }))
        .sort((a, b) => a.chain.length - b.chain.length || (a.artifact < b.artifact ? -1 : 1));
    },
  };
}

/** Whether layers begin with all of a base's; one without layers is nobody's base. */
function beginsWith(layers: readonly Digest[] | undefined, base: readonly Digest[] | undefined): boolean {
  return layers !== undefined && base !== undefined && base.length > 0 && base.every((one, i) => layers[i] === one);
}

/** Undefined: the store lacks it, or it is no image; what is damaged says nothing here, and is refused when it is to start. */
async function readLayers(store: Pick<Store, "read">, image: Digest): Promise<readonly Digest[] | undefined> {
  try {
    const manifest = parseManifest(await store.read(image));
    return parseConfig(await store.read(manifest.config.digest)).diffIds;
  } catch (error) {
    if (error instanceof OperatorError) return undefined;
    throw error;
  }
}
