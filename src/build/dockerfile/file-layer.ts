import type { Json } from "../../model/canonical.ts";
import { isDigest } from "../../model/canonical.ts";
import { mediaTypes } from "../../image/media-types.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { Store } from "../../ports/store.ts";
import { readBaseTree, resolveInTree, type BaseTree } from "../layer/base-tree.ts";
import type { BuildCache } from "../cache.ts";
import { layerOf } from "../layer/layer.ts";
import { createPlacement, type Placement } from "../layer/placement.ts";
import type { LayerUse } from "../layer/write-members.ts";
import { resolveOwner } from "./owner.ts";
import type { StageState } from "./stage-state.ts";

/** Where layers are made. */
export interface LayerPlace {
  readonly store: Store;
  readonly cache: BuildCache;
  readonly epoch: number;
  readonly signal: AbortSignal;
}

export interface FileLayer {
  /** null: nothing had to be put anywhere. */
  readonly layer: StepLayer | null;
  readonly cached: boolean;
}

/** A layer of files on top of others, made by whoever `fill`s it. */
export async function makeFileLayer(
  base: BaseTree,
  place: LayerPlace,
  fill: (placement: Placement) => Promise<void> | void,
  use: LayerUse = {},
): Promise<FileLayer> {
  const placement = createPlacement(base, place.epoch);
  await fill(placement);
  const members = placement.members();
  if (members.length === 0) return { layer: null, cached: true };
  const { layer, cached } = await layerOf(members, place, use);
  return { layer: { descriptor: layer, diffId: layer.digest }, cached };
}

/** Makes the layer, or takes the one that an earlier build made of what `key` names, without looking at any file. */
export async function rememberedLayer(
  room: string,
  key: Json,
  { store, cache }: LayerPlace,
  make: () => Promise<FileLayer>,
): Promise<FileLayer> {
  const known = (await cache.read(room, key)) as { digest?: unknown; size?: unknown } | null | undefined;
  if (known === null) return { layer: null, cached: true };
  const { digest, size } = known ?? {};
  if (typeof digest === "string" && isDigest(digest) && typeof size === "number" && (await store.stat(digest)) === size)
    return { layer: { descriptor: { mediaType: mediaTypes.layer, digest, size }, diffId: digest }, cached: true };
  const made = await make();
  const record = made.layer === null ? null : { digest: made.layer.diffId, size: made.layer.descriptor.size };
  await cache.write(room, key, record);
  return made;
}

/** The folders and symlinks of the stage's layers. */
export function treeBelow(state: StageState, { store, cache }: LayerPlace): Promise<BaseTree> {
  return readBaseTree(store, state.image.layers, cache);
}

/** The image's layers as steps and copies see them: without what steps set aside. */
export function imageLayers(state: StageState): readonly StepLayer[] {
  return state.root.filter((layer) => layer.aside !== true);
}

/** Puts the folders that WORKDIR wants and that are not there into a layer. */
export async function placeFolders(
  state: StageState,
  base: BaseTree,
  placement: Placement,
  place: LayerPlace,
): Promise<void> {
  for (const { path, user } of state.folders) {
    const real = resolveInTree(base, path, true);
    if (placement.isFolder(real)) continue;
    const owner = user === "" ? { uid: 0, gid: 0 } : await resolveOwner(user, imageLayers(state), ownerOptions(place));
    placement.folder(real, owner);
  }
}

export function ownerOptions({ store, cache, signal }: LayerPlace): {
  readonly blobs: Store;
  readonly cache: BuildCache;
  readonly signal: AbortSignal;
} {
  return { blobs: store, cache, signal };
}
