import { parentOf, type BytePath } from "../../../image/tar-entry.ts";
import { digestHex, sha256, type Digest, type Json } from "../../../model/canonical.ts";
import type { StepLayer } from "../../../ports/step-runner.ts";
import type { FileFact, Found, LayerFacts } from "./found.ts";
import { isBelow, mergedUsr } from "./layer-facts.ts";
import { PathMarks } from "./marks.ts";
import { layerFacts, type LayerReading } from "./read-layer.ts";

/** What the layers of an image tell together. */
export interface ImageFacts {
  readonly found: ReadonlyMap<BytePath, Found>;
  /** Files of nobody, by path. */
  readonly files: ReadonlyMap<BytePath, FileFact>;
  readonly unlisted: number;
  readonly unread: readonly BytePath[];
}

/** The same on its way. */
interface Joined {
  readonly found: Map<BytePath, Found>;
  readonly files: Map<BytePath, FileFact>;
  readonly owned: Map<BytePath, string>;
  unlisted: number;
  unread: readonly BytePath[];
}

/**
 * Puts together what layers tell, lowest first. What all layers but the last tell together is remembered: mostly only that one
 * is another than before.
 *
 * @param baseLayers how many of them are the base's, whose facts many images share
 */
export async function imageFacts(
  layers: readonly StepLayer[],
  baseLayers: number,
  reading: LayerReading,
): Promise<ImageFacts> {
  const keep = [...new Set([layers.length - 1, baseLayers])].filter((count) => count > 1).sort((a, b) => b - a);
  let joined: Joined | undefined;
  let done = 0;
  for (const count of keep) {
    const known = await recall(layers, count, reading);
    if (known === undefined) continue;
    [joined, done] = [known, count];
    break;
  }
  joined ??= { found: new Map(), files: new Map(), owned: new Map(), unlisted: 0, unread: [] };
  for (const [index, layer] of layers.entries()) {
    if (index < done) continue;
    add(joined, await layerFacts(layer, reading));
    if (keep.includes(index + 1)) await remember(layers, index + 1, joined, reading);
  }
  return { ...joined, files: withoutOwned(joined) };
}

function add(joined: Joined, facts: LayerFacts): void {
  remove(joined, facts);
  for (const [path, found] of facts.found) {
    joined.files.delete(path);
    joined.owned.delete(path);
    joined.found.set(path, found);
  }
  for (const [list, marks] of facts.owned) joined.owned.set(list, marks);
  for (const file of facts.files) {
    joined.found.delete(file[0]);
    joined.files.set(file[0], file);
  }
  for (const [path, found] of facts.found) if (found.kind === "locked") joined.found.set(path, found);
  joined.unlisted += facts.unlisted;
  joined.unread = [...joined.unread, ...facts.unread].slice(0, 100);
}

function remove(joined: Joined, { removed, emptied }: LayerFacts): void {
  if (removed.length === 0 && emptied.length === 0) return;
  const gone = new Set(removed);
  const below = new Set([...removed, ...emptied]);
  const isGone = (path: BytePath): boolean => gone.has(path) || below.has("") || isBelow(path, below);
  for (const map of [joined.found, joined.files, joined.owned] as readonly Map<BytePath, unknown>[])
    for (const path of map.keys()) if (isGone(path)) map.delete(path);
}

/** Files that belong to a package of any layer are left out. */
function withoutOwned({ found, files, owned }: Joined): ReadonlyMap<BytePath, FileFact> {
  const marks = new PathMarks();
  for (const list of owned.values()) marks.addAll(list);
  const folders = new Set<BytePath>();
  for (const [path, { kind }] of found)
    if (kind === "installed" && path.endsWith("/package.json")) folders.add(parentOf(path));
  return new Map([...files].filter(([path]) => !marks.has(mergedUsr(path)) && !isBelow(path, folders)));
}

/** Grows whenever equal layers give another whole. */
const version = 1;

function keyOf(layers: readonly StepLayer[], count: number): { readonly version: number; readonly layers: Digest } {
  return {
    version,
    layers: sha256(
      layers
        .slice(0, count)
        .map(({ diffId }) => digestHex(diffId))
        .join("\n"),
    ),
  };
}

async function remember(
  layers: readonly StepLayer[],
  count: number,
  { found, files, owned, unlisted, unread }: Joined,
  { cache }: LayerReading,
): Promise<void> {
  const value = { found: [...found], files: [...files.values()], owned: [...owned], unlisted, unread };
  await cache.write("joined-sboms", keyOf(layers, count), value as unknown as Json);
}

async function recall(
  layers: readonly StepLayer[],
  count: number,
  { cache }: LayerReading,
): Promise<Joined | undefined> {
  const value = (await cache.read("joined-sboms", keyOf(layers, count))) as
    | (Omit<LayerFacts, "removed" | "emptied"> & { readonly files: readonly FileFact[] })
    | undefined;
  if (!Array.isArray(value?.found) || !Array.isArray(value.files) || !Array.isArray(value.owned)) return undefined;
  return {
    found: new Map(value.found),
    files: new Map(value.files.map((file) => [file[0], file])),
    owned: new Map(value.owned),
    unlisted: value.unlisted,
    unread: value.unread,
  };
}
