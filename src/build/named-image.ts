import { access } from "node:fs/promises";
import { resolve } from "node:path";
import { readReference } from "../image/reference.ts";
import type { Store } from "../ports/store.ts";
import { createBases, noRegistry } from "./bases.ts";
import { machinePlatform } from "./dockerfile/base-image.ts";
import { factsOf, readImage } from "./image-state.ts";
import type { BuildOptions, BuiltArtifact } from "./options.ts";

/**
 * The name of an image in `build: { image: … }`, where a path may stand too: a path begins with `.` or `/` or is there;
 * a name says its tag or digest, so that a missing file is not looked for in a registry.
 */
export async function imageName(text: string, projectDir: string): Promise<string | undefined> {
  if (/^[./]/.test(text) || !/(?::[^/]+|@sha256:[0-9a-f]+)$/.test(text) || typeof readReference(text) === "string")
    return undefined;
  return access(resolve(projectDir, text)).then(
    () => undefined,
    () => text,
  );
}

/** An image of others as the artifact, byte for byte; a tag is pinned in bronze.lock. @throws {OperatorError} as `Bases.resolve` */
export async function takeNamedImage(name: string, options: BuildOptions): Promise<BuiltArtifact> {
  const store: Store = options.store;
  const bases = createBases({ ...options, registry: options.registry ?? noRegistry });
  const before = options.tagAs === undefined ? undefined : await store.resolve(options.tagAs);
  const digest = await bases.resolve(name, machinePlatform());
  if (options.tagAs !== undefined) await store.tag(options.tagAs, digest);
  const { manifest, image } = await readImage(store, digest);
  return {
    digest,
    warnings: [],
    config: factsOf(image.config),
    layers: manifest.layers,
    commit: null,
    cached: before === digest,
  };
}
