import type { BytePath } from "../../../image/tar-entry.ts";
import { canonicalJson, digestHex, sha256, type Digest, type Json } from "../../../model/canonical.ts";
import type { StepLayer } from "../../../ports/step-runner.ts";
import { componentsOf, writeBill, type BillContent, type BillOptions, type Component } from "./cyclonedx.ts";
import type { FileFact, LayerFacts } from "./found.ts";
import { joinFacts, mostUnread, nobodysBy, ownershipOf, type Ownership } from "./joined.ts";
import { layerFacts, type LayerReading } from "./read-layer.ts";

/**
 * The bill of materials of an image: Debian packages, those of npm, PyPI and Go that are found in it, and files that belong to
 * none of them. Equal images give equal bills.
 *
 * What all layers but the last come to is remembered, for mostly only that one is another than before; where it leaves packages
 * as they are, it is put over the rest without looking at that again.
 *
 * @param layers lowest first
 * @returns canonical JSON
 * @throws {OperatorError} `VERIFICATION_FAILED` for a layer that no reader should take, `NOT_FOUND`
 */
export async function billOf(layers: readonly StepLayer[], options: BillOptions & LayerReading): Promise<string> {
  const top = layers.at(-1);
  const below = layers.slice(0, -1);
  if (top === undefined) return writeBill({ components: [], files: [], unlisted: 0, unread: [] }, options);
  const known = below.length === 0 ? undefined : await recall(below, options);
  const last = await layerFacts(top, options);
  const quick = known === undefined ? undefined : putOver(known, last);
  if (quick !== undefined) return writeBill(quick, options);
  const facts: LayerFacts[] = [];
  for (const layer of below) facts.push(await layerFacts(layer, options));
  if (below.length > 0 && known === undefined) await remember(below, contentOf(facts), options);
  return writeBill(contentOf([...facts, last]), options);
}

/** What some layers come to, so that another can be put over them. */
interface LowerContent extends BillContent {
  readonly ownership: Ownership;
  /** What was found at which path, each as the sha256 of it. */
  readonly found: readonly (readonly [path: BytePath, said: Digest])[];
}

function contentOf(layers: readonly LayerFacts[]): LowerContent {
  const joined = joinFacts(layers);
  const ownership = ownershipOf(joined);
  return {
    components: componentsOf(joined.found),
    files: [...joined.files.values()].filter(nobodysBy([ownership])),
    unlisted: joined.unlisted,
    unread: joined.unread,
    ownership,
    found: [...joined.found].map(([path, said]) => [path, sha256(canonicalJson(said as unknown as Json))]),
  };
}

/** The layer put over what is below it; undefined where it takes something away, or changes what is known of packages. */
function putOver(lower: LowerContent, facts: LayerFacts): BillContent | undefined {
  if (facts.removed.length > 0 || facts.emptied.length > 0) return undefined;
  const known = new Map(lower.found);
  for (const [path, said] of facts.found)
    if (known.get(path) !== sha256(canonicalJson(said as unknown as Json))) return undefined;
  if (facts.owned.length > 0 || facts.files.some(([path]) => known.has(path) && !isSaid(facts, path))) return undefined;
  const isNobodys = nobodysBy([lower.ownership]);
  const below = new Map<BytePath, FileFact>(lower.files.map((file) => [file[0], file]));
  const files = facts.files.filter(isNobodys);
  for (const [path] of files) below.delete(path);
  return {
    components: lower.components,
    files: [...below.values(), ...files],
    unlisted: lower.unlisted + facts.unlisted,
    unread: [...lower.unread, ...facts.unread].slice(0, mostUnread),
  };
}

function isSaid({ found }: LayerFacts, path: BytePath): boolean {
  return found.some(([at]) => at === path);
}

/** Grows whenever equal layers come to something else. */
const version = 2;

function keyOf(layers: readonly StepLayer[]): { readonly version: number; readonly layers: Digest } {
  return { version, layers: sha256(layers.map(({ diffId }) => digestHex(diffId)).join("\n")) };
}

async function remember(
  layers: readonly StepLayer[],
  content: LowerContent,
  { cache }: Pick<LayerReading, "cache">,
): Promise<void> {
  await cache.write("bills", keyOf(layers), content as unknown as Json);
}

async function recall(
  layers: readonly StepLayer[],
  { cache }: Pick<LayerReading, "cache">,
): Promise<LowerContent | undefined> {
  const value = (await cache.read("bills", keyOf(layers))) as Partial<LowerContent> | undefined;
  const { components, files, found, ownership, unlisted, unread } = value ?? {};
  if (!Array.isArray(components) || !Array.isArray(files) || !Array.isArray(found) || !Array.isArray(unread))
    return undefined;
  if (ownership === undefined || typeof unlisted !== "number") return undefined;
  return { components: components as readonly Component[], files, found, ownership, unlisted, unread };
}
