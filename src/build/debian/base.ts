import { join } from "node:path";
import { mediaTypes } from "../../image/media-types.ts";
import { isDigest, type Json } from "../../model/canonical.ts";
import type { Descriptor, Store } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import { writeLayer } from "../layer/layer.ts";
import type { BuildEvent } from "../options.ts";
import { composeRoot } from "./compose.ts";
import type { DebCache } from "./deb-cache.ts";
import type { DebianPins, PackageRequest } from "./pins.ts";
import { skippedScript, type SkippedScript } from "./scripts.ts";
import { withUnpacked } from "./unpack.ts";
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
const version = 2;

/**
 * One layer of packages as their files are: nothing of them runs, nothing of this machine gets in. The same pins give the
 * same bytes, and no work where the layer is in the store.
 *
 * @throws {OperatorError} `BUILD_FAILED`, `VERIFICATION_FAILED`, `MACHINE_LACKS`, `DISK_FULL`, `INTERRUPTED`
 */
export async function packageLayer(
  request: PackageRequest,
  pins: DebianPins,
  options: PackageLayerOptions,
): Promise<PackageLayer> {
  const { store, cache, report, signal, epoch } = options;
  const key = { version, suite: request.suite, packages: pins.packages.map((item) => `${item.name} ${item.sha256}`) };
  // Packages older than the source are the same for every source.
  const newest = await cache.read("debian-times", key);
  if (typeof newest === "number") {
    const known = await readKnown(await cache.read("debian", { ...key, epoch: Math.min(epoch, newest) }), store);
    if (known !== undefined) return known;
  }
  await options.debs.ensure(pins);
  const startedAt = performance.now();
  const step = "unpack";
  report({ kind: "started", step, text: `unpack ${pins.packages.length} packages` });
  try {
    const made = await inWorkDir(join(options.cacheDir, "roots"), (dir) =>
      withUnpacked(pins.packages, options.debs.path, dir, signal, async (unpacked) => {
        const tree = composeRoot(request.suite, unpacked, epoch);
        const layer = await writeLayer(store, tree.sources, signal);
        const skipped = unpacked.flatMap(({ pin, control }) => skippedScript(pin.name, control) ?? []);
        return { layer, skipped, newest: tree.newest };
      }),
    );
    await cache.write(
      "debian",
      { ...key, epoch: Math.min(epoch, made.newest) },
      {
        digest: made.layer.digest,
        size: made.layer.size,
        skipped: made.skipped as unknown as Json,
      },
    );
    await cache.write("debian-times", key, made.newest);
    const text = `${(made.layer.size / 1e6).toFixed(0)} MB`;
    report({ kind: "ended", step, how: "done", ms: performance.now() - startedAt, text });
    if (made.skipped.length > 0) report({ kind: "note", text: describeSkipped(made.skipped) });
    return made;
  } catch (error) {
    report({ kind: "ended", step, how: "failed", ms: performance.now() - startedAt });
    throw error;
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
