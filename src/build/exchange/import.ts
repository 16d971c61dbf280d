import { OperatorError } from "../../errors/operator-error.ts";
import { parseConfig, parseManifest } from "../../image/oci.ts";
import { parseReference, storeName } from "../../image/reference.ts";
import { digestHex, type Digest } from "../../model/canonical.ts";
import type { Stage, Store } from "../../ports/store.ts";
import { interrupted } from "../command.ts";
import { factsOf, machineArchitecture } from "../image-state.ts";
import { verifyLayer } from "../layer/verify.ts";
import type { BuildEvent, BuiltArtifact } from "../options.ts";
import { imagesOfIndex, imagesOfSave, type FoundImage } from "./found-images.ts";
import { importRefused } from "./import-refused.ts";
import { openLayout, type Layout } from "./layout.ts";
import { takeReferrers } from "./referrers.ts";
import { checkParts } from "./take.ts";

export interface ImportOptions {
  readonly store: Store;
  readonly signal: AbortSignal;
  /** The image's name in the store, instead of those in the archive; also picks one of several by its name there. */
  readonly name?: string;
  readonly report?: (event: BuildEvent) => void;
}

export interface ImportedImage extends Omit<BuiltArtifact, "commit"> {
  /** Its names in the store now. */
  readonly names: readonly string[];
}

/**
 * Takes images from an OCI layout folder, an OCI archive or what `docker save` writes: one, or all that have names of
 * their own. Digests, sizes and the decompressed layers are verified; manifest, config and layers stay byte for byte what
 * they are. Only the manifest that Docker's older archives lack is made here.
 *
 * @throws {OperatorError} `NOT_FOUND`, `VERIFICATION_FAILED`, `ARGUMENT_INVALID` when several images have no names or
 * `name` is to be that of several, `INTERRUPTED`
 */
export async function importImages(path: string, options: ImportOptions): Promise<readonly ImportedImage[]> {
  const { store, signal } = options;
  // A name that cannot be one is told before anything is read.
  const name = options.name === undefined ? undefined : storeName(parseReference(options.name));
  if (name === null)
    throw new OperatorError(
      "ARGUMENT_INVALID",
      `Cannot use "${options.name ?? ""}" as a name in the store: it has no tag`,
      {
        hint: "write NAME:TAG",
      },
    );
  const stage = await store.stage();
  try {
    const layout = await openLayout(path, stage, signal);
    const images = choose(path, await findImages(path, layout, stage), options.name, name);
    const imported: ImportedImage[] = [];
    const blobs: Digest[] = [];
    const referrers: Buffer[] = [];
    for (const image of images) {
      const taken = await takeImage(path, await image.take(), layout, stage, options);
      const said = await takeReferrers(path, taken.image.digest, layout, stage);
      blobs.push(...taken.blobs, ...said.blobs);
      referrers.push(...said.manifests);
      imported.push({ ...taken.image, names: name === undefined ? image.names : [name] });
    }
    await stage.publish(blobs);
    for (const manifest of referrers) await store.attach(manifest);
    for (const { digest, names } of imported)
      for (const each of [knownName(digest), ...names]) await store.tag(each, digest);
    return imported;
  } catch (error) {
    if (signal.aborted && !(error instanceof OperatorError)) throw interrupted("the import");
    throw error;
  } finally {
    await stage.discard();
  }
}

/** The same of exactly one image. @throws {OperatorError} as `importImages`, and `ARGUMENT_INVALID` where there are several */
export async function importImage(path: string, options: ImportOptions): Promise<ImportedImage> {
  const [first, second] = await importImages(path, options);
  if (first !== undefined && second === undefined) return first;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${path}" as one image: it holds several`, {
    hint: "export the one wanted alone",
  });
}

async function findImages(path: string, layout: Layout, stage: Stage): Promise<readonly FoundImage[]> {
  const index = await layout.read("index.json");
  if (index !== undefined) return imagesOfIndex(path, index, layout, stage);
  const list = await layout.read("manifest.json");
  if (list !== undefined) return imagesOfSave(path, list, layout, stage);
  throw importRefused(path, "it has neither index.json nor manifest.json");
}

function choose(
  path: string,
  images: readonly FoundImage[],
  written: string | undefined,
  name: string | undefined,
): readonly FoundImage[] {
  if (images.length === 0) throw importRefused(path, "it holds no image");
  if (images.length === 1) return images;
  const labels = images.flatMap((image) => image.labels);
  const refuse = (hint: string): OperatorError =>
    new OperatorError("ARGUMENT_INVALID", `Cannot import "${path}": it holds ${images.length} images`, { hint });
  if (name === undefined) {
    if (images.every((image) => image.names.length > 0)) return images;
    throw refuse(
      `not all have names; say which with --name: ${labels.join(", ") || "none has one, export the one wanted alone"}`,
    );
  }
  const named = images.filter((image) => image.names.includes(name) || image.labels.includes(written ?? ""));
  if (named.length === 1) return named;
  throw refuse(`say which with --name: ${labels.join(", ") || "they have no names; export the one wanted alone"}`);
}

async function takeImage(
  path: string,
  digest: Digest,
  layout: Layout,
  stage: Stage,
  { store, signal, report }: ImportOptions,
): Promise<{ readonly image: Omit<ImportedImage, "names">; readonly blobs: readonly Digest[] }> {
  const known = (await store.resolve(knownName(digest))) === digest;
  const manifest = parseManifest(await stage.read(digest));
  await layout.take(manifest.config);
  const image = parseConfig(await stage.read(manifest.config.digest));
  if (image.os !== "linux" || image.architecture !== machineArchitecture())
    throw importRefused(
      path,
      `it is for ${image.os}/${image.architecture}, this machine is linux/${machineArchitecture()}`,
    );
  checkParts(`"${path}"`, manifest, image);
  for (const [i, layer] of manifest.layers.entries()) {
    const text = `layer ${i + 1} of ${manifest.layers.length}, ${Math.ceil(layer.size / 1e6)} MB`;
    report?.({ kind: "note", text });
    await layout.take(layer);
    if (!known) await verifyLayer(await stage.path(layer.digest), layer, image.diffIds[i] as Digest, signal);
  }
  return {
    blobs: [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)],
    image: { digest, warnings: [], config: factsOf(image.config), layers: manifest.layers, cached: known },
  };
}

/** Marks an image whose layers were verified once, so that the next import need not. */
function knownName(digest: Digest): string {
  return `imported:${digestHex(digest)}`;
}
