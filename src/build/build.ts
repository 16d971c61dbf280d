import { resolve } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { mediaTypes } from "../image/media-types.ts";
import { describe, serialiseConfig, serialiseManifest } from "../image/oci.ts";
import { sha256, type Digest } from "../model/canonical.ts";
import type { BuildDefinition } from "../model/definition.ts";
import { createBases, noRegistry, type Bases } from "./bases.ts";
import { openBuildCache, type BuildCache } from "./cache.ts";
import { interrupted } from "./command.ts";
import { buildDockerfile } from "./dockerfile/execute.ts";
import { createdAt } from "./dockerfile/stage-state.ts";
import { createBeside } from "./evidence/beside.ts";
import { gatherBill, gatherProvenance, plainSignature, type EvidenceInput } from "./evidence/evidence.ts";
import { createRecorder, type Recorder } from "./evidence/recorder.ts";
import { withoutSecrets } from "./evidence/withheld.ts";
import { factsOf, type ImageState } from "./image-state.ts";
import { digestOfUsed } from "./lock-file.ts";
import { imageName, takeNamedImage } from "./named-image.ts";
import type { BuildEvent, BuildOptions, BuiltArtifact } from "./options.ts";
import { hideSecrets } from "./secrets/hide.ts";
import { refuseSecrets, type SecretsVerdict } from "./secrets/refuse.ts";
import { tellWhenSlow } from "./slow-work.ts";
import { readSource, type Source } from "./source.ts";
import type { Blobs, Descriptor, Stage, Store } from "../ports/store.ts";
import { isDamagedBlob } from "../store/kept-stage.ts";

const mostMended = 10;

/**
 * Makes the artifact that a definition describes and puts it into the store. Equal sources give equal bytes.
 *
 * @throws {OperatorError} `BUILD_FAILED`, `DEFINITION_INVALID`, `NOT_YET_SUPPORTED`, `VERIFICATION_FAILED`,
 * `MACHINE_LACKS`, `DISK_FULL`, `INTERRUPTED`
 */
export async function buildArtifact(build: BuildDefinition, given: BuildOptions): Promise<BuiltArtifact> {
  let recorder: Recorder | undefined;
  const report = (event: BuildEvent): void => {
    recorder?.event(event);
    given.report(event);
  };
  const options = { ...given, report: hideSecrets(report, given.secrets ?? []) };
  const once = (more: Partial<BuildOptions> = {}): Promise<BuiltArtifact> => {
    recorder =
      given.evidence === undefined ? undefined : createRecorder((text) => withoutSecrets(text, given.secrets ?? []));
    return buildOnce(build, { ...options, ...more }, recorder);
  };
  try {
    // Each time, at least one damaged blob is gone.
    for (let mended = 0; mended < mostMended; mended++) {
      try {
        return await once();
      } catch (error) {
        if (!isDamagedBlob(error)) throw error;
        options.report({ kind: "note", text: "a layer in the build cache was damaged: it is made anew" });
      }
    }
    return await once({ noCache: true });
  } catch (error) {
    if (options.signal.aborted && !(error instanceof OperatorError)) throw interrupted("the build");
    throw error;
  }
}

async function buildOnce(
  build: BuildDefinition,
  options: BuildOptions,
  recorder: Recorder | undefined,
): Promise<BuiltArtifact> {
  if (build.kind === "image") {
    const name = await imageName(build.path, options.projectDir);
    if (name !== undefined) return takeNamedImage(name, options);
    const { importImage } = await import("./exchange/import.ts");
    const imported = await importImage(resolve(options.projectDir, build.path), {
      store: options.store,
      signal: options.signal,
      report: options.report,
      ...(options.tagAs === undefined ? {} : { name: options.tagAs }),
    });
    return { ...imported, commit: null };
  }
  const { projectDir, cacheDir, sourceEpoch: epoch, signal } = options;
  const source = await (options.source ??
    readSource(projectDir, { cacheDir, signal, ...(epoch === undefined ? {} : { epoch }) }));
  const cache = await openBuildCache(options.cacheDir, {
    fresh: options.noCache === true,
    ...(options.cacheBytes === undefined ? {} : { capacityBytes: options.cacheBytes }),
  });
  let addedBytes = 0;
  try {
    // What the steps make belongs to the cache; the store gets the artifact when it is whole.
    const stage = await options.store.stage(options.cacheDir);
    const { stat, read, path } = stage;
    const write: Blobs["write"] = async (source, expected) => {
      const written = await stage.write(source, expected);
      addedBytes += written.size;
      return written;
    };
    const store: Store = { ...options.store, stat, read, path, write };
    const made = await makeImage(build, options, store, cache, source, recorder);
    if (made.image.layers.length === 0)
      throw new OperatorError("BUILD_FAILED", "Cannot make an image: it has no files", {
        hint: "COPY something into it",
      });
    const { report, signal, secrets: values = [] } = options;
    const secrets = await tellWhenSlow(report, { step: "secrets", text: "look for secrets in what was built" }, () =>
      refuseSecrets(made.image, build.allowSecrets ?? [], { blobs: store, cache, signal, values }),
    );
    const image = await tellWhenSlow(report, { step: "compress", text: "compress new layers" }, () =>
      compressed(build, made.image, store, cache, signal),
    );
    stage.sync(image.layers.map(({ digest }) => digest));
    const input =
      options.evidence === undefined || recorder === undefined
        ? undefined
        : {
            build,
            options,
            evidence: options.evidence,
            facts: recorder.facts,
            source,
            image,
            lock: made.lock,
            blobs: store,
            cache,
          };
    return await finish({ ...made, image }, secrets, source, input, { ...options, stage });
  } finally {
    await cache.close(addedBytes);
  }
}

/** The image with the layers that were made here compressed as the definition says; bases stay as they were. */
async function compressed(
  build: Exclude<BuildDefinition, { kind: "image" }>,
  image: ImageState,
  blobs: Blobs,
  cache: BuildCache,
  signal: AbortSignal,
): Promise<ImageState> {
  const { compress } = build;
  if (compress === undefined) return image;
  const { compressLayer } = await import("./layer/compress.ts");
  // A recipe's packages are its base and were made here too.
  const first = build.kind === "debian" ? 0 : (image.base?.layers ?? 0);
  const layers: Descriptor[] = [];
  for (const [index, layer] of image.layers.entries())
    layers.push(index < first ? layer : await compressLayer(blobs, layer, compress, { cache, signal }));
  return { ...image, layers };
}

interface MadeImage {
  readonly image: ImageState;
  readonly annotations: { readonly [name: string]: string };
  /** What of bronze.lock was used. */
  readonly lock?: NonNullable<EvidenceInput["lock"]>;
  readonly warnings: readonly string[];
  readonly debian?: NonNullable<BuiltArtifact["debian"]>;
  /** The images that it was made from, in any stage. */
  readonly from: readonly Digest[];
}

async function makeImage(
  build: Exclude<BuildDefinition, { kind: "image" }>,
  options: BuildOptions,
  store: Store,
  cache: BuildCache,
  source: Source,
  recorder: Recorder | undefined,
): Promise<MadeImage> {
  if (build.kind === "debian") {
    const { buildRecipe } = await import("./debian/recipe.ts");
    const { pinsToJson } = await import("./debian/pins.ts");
    const { image, pins, skipped } = await buildRecipe(build, { ...options, store }, cache, source.epoch, recorder);
    const packages = pins.packages.map((item) => `${item.name}=${item.version} ${item.sha256}`);
    const digest = digestOfUsed({ debian: pinsToJson(pins) });
    const annotations = {
      "bronze.debian.suite": build.suite,
      "bronze.debian.packages": packages.join("\n"),
      "bronze.lock.digest": digest,
    };
    const lock = { digest, published: pins.published };
    return { image, annotations, lock, warnings: [], debian: { packages: pins.packages, skipped }, from: [] };
  }
  // Bases that are fetched are the store's, with their names.
  const bases = createBases({ ...options, registry: options.registry ?? noRegistry });
  const { image, warnings } = await buildDockerfile({
    projectDir: options.projectDir,
    path: build.path,
    target: options.target ?? build.target ?? null,
    buildArgs: new Map([...Object.entries(build.args ?? {}), ...(options.buildArgs ?? [])]),
    secrets: options.secrets ?? [],
    store,
    cache,
    bases: recorder === undefined ? bases : recordingBases(bases, recorder),
    recorder,
    steps: options.steps,
    epoch: source.epoch,
    report: options.report,
    signal: options.signal,
  });
  const used = bases.used();
  const from = await bases.digests();
  if (used === undefined) return { image, annotations: {}, warnings, from };
  const digest = digestOfUsed({ bases: used });
  return { image, annotations: { "bronze.lock.digest": digest }, lock: { digest }, warnings, from };
}

function recordingBases(bases: Bases, recorder: Recorder): Bases {
  return {
    ...bases,
    async resolve(name, platform) {
      const digest = await bases.resolve(name, platform);
      recorder.base({ name, platform, digest });
      return digest;
    },
  };
}

/** Puts the layers and what names them into the store. */
async function finish(
  { image, annotations, warnings, debian, from }: MadeImage,
  secrets: SecretsVerdict,
  source: Source,
  evidence: EvidenceInput | undefined,
  options: BuildOptions & { readonly stage: Stage },
): Promise<BuiltArtifact> {
  const created = createdAt(source.epoch);
  const config = serialiseConfig({
    architecture: image.architecture,
    ...(image.variant === undefined ? {} : { variant: image.variant }),
    os: "linux",
    ...(image.author === undefined ? {} : { author: image.author }),
    created,
    config: image.config,
    diffIds: image.diffIds,
    history: image.history,
  });
  const manifest = serialiseManifest({
    config: describe(mediaTypes.config, config),
    layers: image.layers,
    annotations: {
      ...annotations,
      ...secrets.annotations,
      "org.opencontainers.image.created": created,
      ...(source.commit === null ? {} : { "org.opencontainers.image.revision": source.commit }),
      ...(source.dirty ? { "bronze.source.dirty": "true" } : {}),
    },
  });
  const digest = sha256(manifest);
  const cached = (await options.store.stat(digest)) !== undefined;
  const named = await Promise.all([config, manifest].map((bytes) => prepared(bytes, options)));
  options.stage.sync(named);
  // Before it is there, so that it never is without: what becomes of it depends on this.
  const recorded = options.store.recordBuild(digest, from);
  // Heard of below; until then it is nobody's.
  recorded.catch(() => undefined);
  // What is found out and signed while the disk writes takes no time of its own.
  const beside = createBeside(describe(mediaTypes.manifest, manifest), options);
  if (evidence !== undefined) {
    // By far the longest, so the first to be written.
    await beside.say(await gatherBill(evidence));
    const { provenance, materials, notes } = await gatherProvenance(evidence);
    await beside.keep(materials);
    await beside.say(provenance);
    for (const text of notes) options.report({ kind: "note", text });
  }
  await beside.say(plainSignature);
  await recorded;
  await options.stage.publish(
    [...image.layers.map((layer) => layer.digest), ...beside.blobs, ...named],
    beside.manifests,
  );
  if (options.tagAs !== undefined) await options.store.tag(options.tagAs, digest);
  return {
    digest,
    warnings: [...source.warnings, ...warnings, ...secrets.warnings],
    config: factsOf(image.config),
    layers: image.layers,
    commit: source.commit,
    cached,
    ...(debian === undefined ? {} : { debian }),
  };
}

/** Makes sure of small bytes: on their way into the store, or there already. */
async function prepared(
  bytes: Buffer,
  { store, stage }: { readonly store: Store; readonly stage: Stage },
): Promise<Digest> {
  const isThere = (await store.stat(sha256(bytes))) !== undefined;
  // One that was damaged meanwhile is written anew.
  return (await (isThere ? store : stage).write(bytes)).digest;
}
