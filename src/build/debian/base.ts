import { closeSync } from "node:fs";
import { join } from "node:path";
import { mediaTypes } from "../../image/media-types.ts";
import { isDigest, type Json } from "../../model/canonical.ts";
import type { Descriptor, Store } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import { writeLayer } from "../layer/layer.ts";
import type { BuildEvent } from "../options.ts";
import { composeRoot } from "./compose.ts";
import type { DebCache } from "./deb-cache.ts";
import { fullRoot } from "./full.ts";
import type { DebianPins, PackageRequest } from "./pins.ts";
import { skippedScript, type SkippedScript } from "./scripts.ts";
import { asStep, megabytes } from "./step.ts";
import { openSpool, withUnpacked } from "./unpack.ts";
import { inWorkDir } from "./work-dir.ts";

/** A layer of packages. */
export interface PackageLayer {
  readonly layer: Descriptor;
  /** Packages that may lack what their maintainer scripts would have done. */
  readonly skipped: readonly SkippedScript[];
}

export interface PackageLayerOptions {
  readonly store: Store;
  readonly cache: BuildCache;
  readonly cacheDir: string;
  readonly debs: DebCache;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
  readonly epoch: number;
}

/** Grows whenever equal packages give another layer. */
const version = 4;

/**
 * One layer of packages. As a rule their files as they are: nothing of them runs, nothing of this machine gets in; a full
 * one is a system that dpkg installed. The same pins give the same bytes, and no work where the layer is in the store.
 *
 * @throws {OperatorError} `BUILD_FAILED`, `VERIFICATION_FAILED`, `MACHINE_LACKS`, `DISK_FULL`, `INTERRUPTED`
 */
export async function packageLayer(
  request: PackageRequest,
  pins: DebianPins,
  options: PackageLayerOptions,
): Promise<PackageLayer> {
  const { store, cache, report, signal } = options;
  const key = {
    version,
    suite: request.suite,
    full: request.full,
    packages: pins.packages.map((item) => `${item.name} ${item.sha256}`),
  };
  // Packages are older than what was published with them, and a later source is the same to them.
  const epoch = Math.min(options.epoch, Date.parse(pins.published) / 1000);
  const known = await readKnown(await cache.read("debian", { ...key, epoch }), store);
  if (known !== undefined) {
    // They are what it can be made of again without a network.
    await options.debs.markUsed(pins);
    return await asStep(report, "packages", `${pins.packages.length} Debian packages`, () =>
      Promise.resolve({ result: known, cached: true }),
    );
  }
  await options.debs.ensure(pins);
  const made = await make(request, pins, epoch, options).catch(async (error: unknown) => {
    // What was damaged in the cache is there no more.
    if (signal.aborted || (await options.debs.hasAll(pins))) throw error;
    await options.debs.ensure(pins);
    return await make(request, pins, epoch, options);
  });
  const { digest, size } = made.layer;
  await cache.write("debian", { ...key, epoch }, { digest, size, skipped: made.skipped as unknown as Json });
  if (made.skipped.length > 0) report({ kind: "note", text: describeSkipped(made.skipped) });
  return made;
}

async function make(
  request: PackageRequest,
  pins: DebianPins,
  epoch: number,
  options: PackageLayerOptions,
): Promise<PackageLayer> {
  const step = request.full ? "install" : "unpack";
  return await asStep(options.report, step, `${step} ${pins.packages.length} packages`, async () => {
    const result = await inWorkDir(join(options.cacheDir, "tmp"), (dir) =>
      request.full ? install(request, pins, dir, epoch, options) : unpack(request, pins, dir, epoch, options),
    );
    return { result, text: megabytes(result.layer.size) };
  });
}

function unpack(
  request: PackageRequest,
  pins: DebianPins,
  dir: string,
  epoch: number,
  { store, debs, signal }: PackageLayerOptions,
): Promise<PackageLayer> {
  return withUnpacked(pins.packages, { pathOf: debs.path, dir, signal, parts: "all" }, async (unpacked) => {
    const layer = await writeLayer(store, composeRoot(request.suite, unpacked, epoch), signal);
    return { layer, skipped: unpacked.flatMap(({ pin, control }) => skippedScript(pin.name, control) ?? []) };
  });
}

async function install(
  request: PackageRequest,
  pins: DebianPins,
  dir: string,
  epoch: number,
  { store, debs, signal }: PackageLayerOptions,
): Promise<PackageLayer> {
  const spool = openSpool(join(dir, "root.tar"));
  try {
    const sources = await fullRoot(request, pins, { pathOf: debs.path, dir, spool, epoch, signal });
    return { layer: await writeLayer(store, sources, signal), skipped: [] };
  } finally {
    closeSync(spool);
  }
}

async function readKnown(record: unknown, store: Store): Promise<PackageLayer | undefined> {
  const { digest, size, skipped } = (record ?? {}) as { digest?: unknown; size?: unknown; skipped?: unknown };
  if (typeof digest !== "string" || !isDigest(digest) || (await store.stat(digest)) !== size) return undefined;
  return {
    layer: { mediaType: mediaTypes.layer, digest, size: Number(size) },
    skipped: Array.isArray(skipped) ? (skipped as readonly SkippedScript[]) : [],
  };
}

function describeSkipped(skipped: readonly SkippedScript[]): string {
  const names = skipped.map((item) => `${item.package} (${item.uses.join(", ")})`).join(", ");
  return `maintainer scripts that did not run and may be missed: ${names}; \`full: true\` runs them`;
}
