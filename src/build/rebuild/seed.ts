import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { mediaTypes } from "../../image/media-types.ts";
import type { Json } from "../../model/canonical.ts";
import { createBuildCache, recordPath } from "../cache.ts";
import type { RebuildPlan } from "./plan.ts";

/** Has an empty cache know the outputs of steps that used the network, and what came from addresses; nothing else. */
export async function seedCache({ replayed, downloads }: RebuildPlan, cacheDir: string): Promise<void> {
  const cache = createBuildCache(cacheDir);
  for (const { address, digest } of downloads) await cache.write("downloads", { version: 1, address }, { digest });
  for (const { key, layer, aside } of replayed) {
    const path = recordPath(cacheDir, "runs", key);
    mkdirSync(dirname(path), { recursive: true });
    const record = { layer: layerOf(layer), aside: layerOf(aside, { aside: true }), network: {} };
    writeFileSync(path, JSON.stringify(record), { mode: 0o600 });
  }
}

function layerOf(layer: RebuildPlan["replayed"][number]["layer"], more: { readonly aside?: true } = {}): Json {
  if (layer === null) return null;
  const { digest, size } = layer;
  return { descriptor: { mediaType: mediaTypes.layer, digest, size }, diffId: digest, ...more };
}
