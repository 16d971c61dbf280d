import { mediaTypes } from "../../image/media-types.ts";
import { parseManifest } from "../../image/oci.ts";
import { canonicalJson, type Digest, type Json } from "../../model/canonical.ts";
import type { BuildDefinition } from "../../model/definition.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";
import { predicateTypes, type WrittenStatement } from "../../trust/statement.ts";
import type { BuildCache } from "../cache.ts";
import { runCommand } from "../command.ts";
import { machinePlatform } from "../dockerfile/base-image.ts";
import type { ImageState } from "../image-state.ts";
import type { BuildOptions } from "../options.ts";
import type { Source } from "../source.ts";
import { isContextKept, keepContext } from "./context-kept.ts";
import { listContext } from "./context-list.ts";
import { gatherRuns, writeLog } from "./log.ts";
import { materialTypes, putMaterial, type Material } from "./materials.ts";
import { makeProvenance, type DefinitionPlace } from "./provenance.ts";
import { billOf } from "./sbom/sbom.ts";
import { holdsSecret, namesSecret, outputWithoutSecrets, type SecretSearch } from "./withheld.ts";
import type { BuildFacts } from "./recorder.ts";

/** Something that is said about an artifact, before it is signed. */
export type MadeStatement = Omit<WrittenStatement, "subject">;

/** How an artifact came to be, and what that names. */
export interface GatheredProvenance {
  readonly provenance: MadeStatement;
  /** Blobs to keep beside the artifact. */
  readonly materials: readonly Material[];
  /** What people should know of it. */
  readonly notes: readonly string[];
}

/** What says no more than that an artifact is signed. */
export const plainSignature: MadeStatement = { predicateType: predicateTypes.signature, text: "{}" };

/** What evidence is to say that the build does not know. */
export interface EvidenceOptions {
  readonly place: DefinitionPlace;
  /** What builds, versions by name. */
  readonly tools: { readonly [name: string]: string };
}

export interface EvidenceInput {
  readonly build: Exclude<BuildDefinition, { readonly kind: "image" }>;
  readonly options: Pick<BuildOptions, "projectDir" | "target" | "buildArgs" | "secrets" | "signal">;
  readonly evidence: EvidenceOptions;
  readonly facts: BuildFacts;
  readonly source: Source;
  readonly image: ImageState;
  /** What of bronze.lock was used. */
  readonly lock: { readonly digest: Digest; readonly published?: string } | undefined;
  readonly blobs: Blobs;
  readonly cache: BuildCache;
}

/** What is in an artifact. */
export async function gatherBill({
  image,
  options,
  evidence,
  facts,
  blobs,
  cache,
}: EvidenceInput): Promise<MadeStatement> {
  const { place, tools } = evidence;
  const { signal } = options;
  const text = await billOf(layersOf(image), { blobs, cache, signal, made: facts.layers, name: place.app, tools });
  return { predicateType: predicateTypes.sbom, text };
}

/** Puts together how a build went: blobs among `blobs`, which are to be published with the artifact, and what is to be signed of it. */
export async function gatherProvenance(input: EvidenceInput): Promise<GatheredProvenance> {
  const { build, options, evidence, facts, source, blobs, cache } = input;
  const values = options.secrets ?? [];
  const search = { blobs, cache, signal: options.signal, values, allowances: build.allowSecrets ?? [] };
  const runs = await gatherRuns(
    facts,
    cache,
    () => runnerVersions(options.signal),
    (output) => outputWithoutSecrets(output, values),
  );
  const log = await putMaterial(blobs, "build log", materialTypes.log, writeLog(facts, runs));
  const list = listContext(facts.files, facts.read);
  const isWanted = await isContextKept(facts, source, options);
  const parts = isWanted ? await keepContext(list, input) : [];
  const isWithheld = isWanted && (namesSecret(list, search.allowances) || (await anyHolds(parts, search)));
  const context = isWithheld ? [] : parts;
  const made = await keptOutputs(facts, input.image, blobs);
  const outputs: Material[] = [];
  for (const output of made) if (!(await holdsSecret(output, search))) outputs.push(output);
  const notes = [
    ...(isWithheld
      ? [
          "the files it was built of are not kept beside it, for something in them looks like a secret: `bronze rebuild` cannot make it again",
        ]
      : []),
    ...(outputs.length < made.length
      ? [
          "what a step got from the network is not kept, for something in it looks like a secret: `bronze rebuild` will run that step again",
        ]
      : []),
  ];
  const provenance = makeProvenance({
    place: evidence.place,
    build,
    target: options.target,
    buildArgs: options.buildArgs ?? new Map(),
    secrets: (options.secrets ?? []).map(({ id }) => id),
    givenEpoch: process.env["SOURCE_DATE_EPOCH"] || undefined,
    platform: machinePlatform(),
    source,
    facts,
    runs,
    lock: input.lock,
    context: { digest: list.digest, isKept: context.length > 0, isWithheld },
    contextMaterials: context,
    log,
    kept: new Set([...input.image.diffIds, ...outputs.map(({ descriptor }) => descriptor.digest)]),
    tools: evidence.tools,
  });
  return {
    provenance: { predicateType: predicateTypes.provenance, text: canonicalJson(provenance as unknown as Json) },
    materials: [log, ...context, ...outputs],
    notes,
  };
}

async function anyHolds(materials: readonly Material[], search: SecretSearch): Promise<boolean> {
  for (const material of materials) if (await holdsSecret(material, search)) return true;
  return false;
}

/**
 * What steps got from the network cannot be had again: their layers are kept, those that the image has not got itself, with
 * what they set aside as far as a step that is run again stands on it, and files that were fetched.
 */
async function keptOutputs(facts: BuildFacts, image: ImageState, blobs: Blobs): Promise<readonly Material[]> {
  const inImage = new Set(image.layers.map(({ digest }) => digest));
  const needed = new Set(facts.steps.flatMap(({ run }) => (run === undefined || run.usedNetwork ? [] : run.below)));
  const kept: Material[] = await baseDocuments(facts, blobs);
  const keep = async (title: string, descriptor: Descriptor): Promise<void> => {
    if (inImage.has(descriptor.digest)) return;
    // What a step set aside may be gone from the cache where nothing has asked for it since.
    if ((await blobs.stat(descriptor.digest)) === descriptor.size) kept.push({ title, descriptor });
  };
  for (const { name, layer, run, downloads = [] } of facts.steps) {
    for (const { digest, size } of downloads)
      await keep(`download of step ${name}`, { mediaType: materialTypes.download, digest, size });
    if (run?.usedNetwork !== true) continue;
    if (layer !== null) await keep(`step ${name}`, layer.descriptor);
    if (run.aside !== null && needed.has(run.aside.diffId)) await keep(`left by step ${name}`, run.aside.descriptor);
  }
  return kept;
}

/** What says how a base is made up: its layers are the image's, or are those of a stage that may be fetched again. */
async function baseDocuments({ bases }: BuildFacts, blobs: Blobs): Promise<Material[]> {
  const documents: Material[] = [];
  for (const { name, digest } of bases) {
    const bytes = await blobs.read(digest);
    const descriptor = { mediaType: mediaTypes.manifest, digest, size: bytes.byteLength };
    documents.push({ title: `manifest of ${name}`, descriptor });
    documents.push({ title: `config of ${name}`, descriptor: parseManifest(bytes).config });
  }
  return documents;
}

/** @param image with a descriptor for each of its layers, compressed or not */
function layersOf({ layers, diffIds }: Pick<ImageState, "layers" | "diffIds">): readonly StepLayer[] {
  return layers.map((descriptor, index) => ({ descriptor, diffId: diffIds[index] ?? descriptor.digest }));
}

/** What runs programs of steps. */
async function runnerVersions(signal: AbortSignal): Promise<{ readonly [name: string]: string }> {
  const { stdout } = await runCommand("runc", ["--version"], { signal, timeoutMs: 10_000 });
  const version = /^runc version (\S+)/m.exec(stdout)?.[1];
  return version === undefined ? {} : { runc: version };
}
