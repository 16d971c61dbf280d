import { resolve } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { mediaTypes } from "../image/media-types.ts";
import { describe, serialiseConfig, serialiseManifest } from "../image/oci.ts";
import { sha256 } from "../model/canonical.ts";
import type { BuildDefinition, BuildSettings } from "../model/definition.ts";
import { createBases, noRegistry } from "./bases.ts";
import { createBuildCache, type BuildCache } from "./cache.ts";
import { interrupted } from "./command.ts";
import { buildDockerfile, createdAt } from "./dockerfile/execute.ts";
import { factsOf, type ImageState } from "./image-state.ts";
import { importImage } from "./exchange/import.ts";
import { digestOfUsed } from "./lock-file.ts";
import type { BuildOptions, BuiltArtifact } from "./options.ts";
import { pinsToJson } from "./debian/pins.ts";
import { buildRecipe } from "./debian/recipe.ts";
import { refuseSecrets } from "./secrets/refuse.ts";
import { readSource, type Source } from "./source.ts";

/**
 * Makes the artifact that a definition describes and puts it into the store. Equal sources give equal bytes.
 *
 * @throws {OperatorError} `BUILD_FAILED`, `DEFINITION_INVALID`, `NOT_YET_SUPPORTED`, `VERIFICATION_FAILED`,
 * `MACHINE_LACKS`, `DISK_FULL`, `INTERRUPTED`
 */
export async function buildArtifact(build: BuildDefinition, options: BuildOptions): Promise<BuiltArtifact> {
  try {
    if (build.kind === "image") {
      const imported = await importImage(resolve(options.projectDir, build.path), {
        store: options.store,
        signal: options.signal,
        report: options.report,
        ...(options.tagAs === undefined ? {} : { name: options.tagAs }),
      });
      return { ...imported, commit: null };
    }
    const source = await readSource(options.projectDir, options.sourceEpoch, options.signal);
    const cache = createBuildCache(options.cacheDir);
    if (build.kind === "debian") {
      const { image, pins, skipped } = await buildRecipe(build, options, cache, source.epoch);
      const packages = pins.packages.map((item) => `${item.name}=${item.version} ${item.sha256}`);
      const built = await finish(
        image,
        source,
        {
          "bronze.debian.suite": build.suite,
          "bronze.debian.packages": packages.join("\n"),
          "bronze.lock.digest": digestOfUsed({ debian: pinsToJson(pins) }),
        },
        options,
        cache,
        build,
      );
      return { ...built, debian: { packages: pins.packages, skipped } };
    }
    const bases = createBases({ ...options, registry: options.registry ?? noRegistry });
    const image = await buildDockerfile({
      projectDir: options.projectDir,
      path: build.path,
      store: options.store,
      cache,
      bases,
      epoch: source.epoch,
      report: options.report,
      signal: options.signal,
    });
    const used = bases.used();
    const extra = used === undefined ? {} : { "bronze.lock.digest": digestOfUsed({ bases: used }) };
    return await finish(image, source, extra, options, cache, build);
  } catch (error) {
    if (options.signal.aborted && !(error instanceof OperatorError)) throw interrupted("the build");
    throw error;
  }
}

async function finish(
  image: ImageState,
  source: Source,
  extra: { readonly [name: string]: string },
  options: BuildOptions,
  cache: BuildCache,
  { allowSecrets = [] }: BuildSettings,
): Promise<BuiltArtifact> {
  if (image.layers.length === 0)
    throw new OperatorError("BUILD_FAILED", "Cannot make an image: it has no files", {
      hint: "COPY something into it",
    });
  const secrets = await refuseSecrets(image, allowSecrets, {
    blobs: options.store,
    cache,
    signal: options.signal,
    values: options.secrets ?? [],
  });
  const created = createdAt(source.epoch);
  const config = serialiseConfig({
    architecture: image.architecture,
    os: "linux",
    created,
    config: image.config,
    diffIds: image.diffIds,
    history: image.history,
  });
  const manifest = serialiseManifest({
    config: describe(mediaTypes.config, config),
    layers: image.layers,
    annotations: {
      ...extra,
      ...secrets.annotations,
      "org.opencontainers.image.created": created,
      ...(source.commit === null ? {} : { "org.opencontainers.image.revision": source.commit }),
      ...(source.dirty ? { "bronze.source.dirty": "true" } : {}),
    },
  });
  const digest = sha256(manifest);
  const cached = (await options.store.stat(digest)) !== undefined;
  await options.store.write(config);
  await options.store.write(manifest, { digest });
  if (options.tagAs !== undefined) await options.store.tag(options.tagAs, digest);
  return {
    digest,
    warnings: [...source.warnings, ...secrets.warnings],
    config: factsOf(image.config),
    layers: image.layers,
    commit: source.commit,
    cached,
  };
}
