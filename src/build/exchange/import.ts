import { OperatorError } from "../../errors/operator-error.ts";
import { isIndexType, layerCompression, mediaTypes } from "../../image/media-types.ts";
import {
  describe,
  parseConfig,
  parseIndex,
  parseJson,
  parseManifest,
  serialiseManifest,
  type BlobDescriptor,
  type ImageConfig,
  type Manifest,
} from "../../image/oci.ts";
import { isDigest, type Digest } from "../../model/canonical.ts";
import type { Blobs, Descriptor, Store } from "../../ports/store.ts";
import { verifyLayer } from "../layer/verify.ts";
import { interrupted } from "../command.ts";
import { factsOf, machineArchitecture } from "../image-state.ts";
import { openLayout, type Layout } from "./layout.ts";
import type { BuildEvent, BuiltArtifact } from "../options.ts";

export interface ImportOptions {
  readonly store: Store;
  readonly signal: AbortSignal;
  /** A name in the store for the image; also picks one of several in an archive. */
  readonly name?: string;
  readonly report?: (event: BuildEvent) => void;
}

/** The same while nothing of the image is in the store yet. */
type StagedOptions = Omit<ImportOptions, "store"> & { readonly store: Blobs };

const mostDepth = 4;

/**
 * Takes an image from an OCI layout folder, an OCI archive or what `docker save` writes. Digests, sizes and the
 * decompressed layers are verified; manifest, config and layers stay byte for byte what they are. Only the manifest that
 * Docker's older archives lack is made here.
 *
 * @throws {OperatorError} `NOT_FOUND`, `VERIFICATION_FAILED`, `ARGUMENT_INVALID` when several images fit, `INTERRUPTED`
 */
export async function importImage(path: string, given: ImportOptions): Promise<Omit<BuiltArtifact, "commit">> {
  // A name that cannot be one is told before anything is read.
  if (given.name !== undefined) await given.store.resolve(given.name);
  const stage = await given.store.stage();
  const options = { ...given, store: stage };
  try {
    const layout = await openLayout(path, stage, options.signal);
    const index = await layout.read("index.json");
    const archive = index === undefined ? await layout.read("manifest.json") : undefined;
    if (index === undefined && archive === undefined)
      throw refused(path, "it has neither index.json nor manifest.json");
    const found =
      index !== undefined
        ? await pickManifest(path, layout, options, index)
        : await fromDockerSave(path, layout, options, archive as Buffer);
    const known = (await given.store.resolve(knownName(found.digest))) === found.digest;
    const manifest = parseManifest(await options.store.read(found.digest));
    await layout.take(manifest.config);
    const image = parseConfig(await options.store.read(manifest.config.digest));
    checkImage(path, manifest, image);
    for (const [i, layer] of manifest.layers.entries()) {
      options.report?.({
        kind: "note",
        text: `layer ${i + 1} of ${manifest.layers.length}, ${Math.ceil(layer.size / 1e6)} MB`,
      });
      await layout.take(layer);
      if (!known) await verifyLayer(await stage.path(layer.digest), layer, image.diffIds[i] as Digest, options.signal);
    }
    await stage.publish([found.digest, manifest.config.digest, ...manifest.layers.map(({ digest }) => digest)]);
    await given.store.tag(knownName(found.digest), found.digest);
    if (options.name !== undefined) await given.store.tag(options.name, found.digest);
    return {
      digest: found.digest,
      warnings: [],
      config: factsOf(image.config),
      layers: manifest.layers,
      cached: known,
    };
  } catch (error) {
    if (options.signal.aborted && !(error instanceof OperatorError)) throw interrupted("the import");
    throw error;
  } finally {
    await stage.discard();
  }
}

/** Marks an image whose layers were verified once, so that the next import need not. */
function knownName(digest: Digest): string {
  return `imported:${digest.slice("sha256:".length)}`;
}

async function pickManifest(
  path: string,
  layout: Layout,
  options: StagedOptions,
  index: Buffer,
): Promise<BlobDescriptor> {
  let bytes = index;
  for (let depth = 0; depth < mostDepth; depth++) {
    const all = parseIndex(bytes);
    const images = all.filter(
      (entry) =>
        isIndexType(entry.mediaType) ||
        entry.mediaType === mediaTypes.manifest ||
        entry.mediaType === mediaTypes.dockerManifest,
    );
    const fitting = images.filter(
      ({ platform }) =>
        platform === undefined || (platform.os === "linux" && platform.architecture === machineArchitecture()),
    );
    const named = fitting.filter((entry) => options.name !== undefined && refName(entry) === options.name);
    const choice = named.length > 0 ? named : fitting;
    const [first, second] = choice;
    if (first === undefined) throw refused(path, `it holds no image for linux/${machineArchitecture()}`);
    if (second !== undefined && second.digest !== first.digest) {
      throw new OperatorError("ARGUMENT_INVALID", `Cannot import "${path}": it holds ${choice.length} images`, {
        hint: `say which with --name: ${choice.map(refName).filter(Boolean).join(", ") || "they have no names; export the one wanted alone"}`,
      });
    }
    await layout.take(first);
    if (!isIndexType(first.mediaType)) return first;
    bytes = await options.store.read(first.digest);
  }
  throw refused(path, "its indexes are nested too deeply");
}

function refName(entry: BlobDescriptor): string {
  return (
    entry.annotations?.["io.containerd.image.name"] ?? entry.annotations?.["org.opencontainers.image.ref.name"] ?? ""
  );
}

async function fromDockerSave(
  path: string,
  layout: Layout,
  options: StagedOptions,
  bytes: Buffer,
): Promise<{ digest: Digest }> {
  const list = parseJson(bytes, "manifest.json");
  if (!Array.isArray(list) || list.length > 1000) throw refused(path, "its manifest.json is no list");
  const images = list as { Config?: unknown; Layers?: unknown; RepoTags?: unknown }[];
  const named = images.filter(
    ({ RepoTags }) => options.name !== undefined && Array.isArray(RepoTags) && RepoTags.includes(options.name),
  );
  const choice = named.length > 0 ? named : images;
  const [image, second] = choice;
  if (second !== undefined)
    throw new OperatorError("ARGUMENT_INVALID", `Cannot import "${path}": it holds ${choice.length} images`, {
      hint: "save the one wanted alone, or say which with --name",
    });
  const layers = image?.Layers;
  if (
    typeof image?.Config !== "string" ||
    !Array.isArray(layers) ||
    layers.length > 256 ||
    !layers.every((layer) => typeof layer === "string")
  )
    throw refused(path, "its manifest.json names no config and layers");
  const config = await layout.takeFile(image.Config);
  const named256 = `sha256:${/([0-9a-f]{64})(\.json)?$/.exec(image.Config)?.[1] ?? ""}`;
  if (isDigest(named256) && named256 !== config.digest)
    throw refused(path, `its config ${image.Config} is ${config.digest}`);
  const descriptors: Descriptor[] = [];
  for (const layer of layers) descriptors.push({ mediaType: mediaTypes.layer, ...(await layout.takeFile(layer)) });
  const manifest = serialiseManifest({
    config: { mediaType: mediaTypes.config, ...config },
    layers: descriptors,
    annotations: {},
  });
  return { digest: (await options.store.write(manifest, describe(mediaTypes.manifest, manifest))).digest };
}

function checkImage(path: string, manifest: Manifest, image: ImageConfig): void {
  if (image.os !== "linux" || image.architecture !== machineArchitecture())
    throw refused(path, `it is for ${image.os}/${image.architecture}, this machine is linux/${machineArchitecture()}`);
  if (image.diffIds.length !== manifest.layers.length)
    throw refused(path, `its manifest has ${manifest.layers.length} layers, its config ${image.diffIds.length}`);
  const odd = manifest.layers.find((layer) => layerCompression(layer.mediaType) === undefined);
  if (odd !== undefined) throw refused(path, `a layer is of the kind ${odd.mediaType.slice(0, 100)}`);
}

function refused(path: string, state: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot import "${path}": ${state}`, {
    hint: "give an OCI layout folder, an OCI archive or what docker save writes, for this machine's platform",
  });
}
