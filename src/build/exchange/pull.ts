import { OperatorError } from "../../errors/operator-error.ts";
import { fullName, storeName, type ImageReference } from "../../image/reference.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Registry } from "../../ports/registry.ts";
import type { Store } from "../../ports/store.ts";
import type { BuildEvent } from "../options.ts";
import { createTransferStep } from "../transfer-step.ts";
import { markPulled, takeImage } from "./take.ts";

export interface PullOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly platform: string;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
}

export interface PulledImage {
  /** In full, with the digest. */
  readonly name: string;
  readonly digest: Digest;
  /** The index that it was taken from, where there is one. */
  readonly index: Digest | null;
  readonly platform: string;
  /** False: the store had it. */
  readonly fetched: boolean;
}

/**
 * Brings what a name means now, for one platform, into the store, and names it there as it is named in the registry.
 *
 * @throws {OperatorError} `NOT_FOUND`, `REGISTRY_FAILED`, `VERIFICATION_FAILED`, `DISK_FULL`, `INTERRUPTED`
 */
export async function pullImage(reference: ImageReference, options: PullOptions): Promise<PulledImage> {
  const { store, registry, platform, report, signal } = options;
  const name = fullName(reference);
  const { index, platforms } = await registry.resolve(reference, signal);
  const digest = platforms[platform];
  if (digest === undefined)
    throw new OperatorError("NOT_FOUND", `Cannot pull ${name}: there is none of it for ${platform}`, {
      hint: `it is there for ${Object.keys(platforms).sort().join(", ") || "no platform at all"}`,
    });
  if (index !== null) await store.write(index.bytes, { digest: index.digest });
  const step = createTransferStep(report, "pull", name);
  const { progress } = step;
  const fetched = await step.run(() => takeImage(reference, digest, { store, registry, platform, signal, progress }));
  const said = await pullSaid(reference, digest, options);
  if (said !== undefined) report({ kind: "note", text: said });
  await markPulled(store, reference, digest);
  const tag = storeName(reference);
  if (tag !== null) await store.tag(tag, digest);
  return { name: fullName({ ...reference, digest }), digest, index: index?.digest ?? null, platform, fetched };
}

/**
 * Brings what is said about an image there. An image is taken also where that cannot be had: it then has less that speaks for it.
 *
 * @returns in words for people what of it was not taken
 */
async function pullSaid(
  reference: ImageReference,
  digest: Digest,
  { store, registry, signal }: PullOptions,
): Promise<string | undefined> {
  try {
    const { found, taken } = await registry.pullReferrers(reference, digest, store, { signal });
    return taken === found
      ? undefined
      : `of ${found} things that are said about ${fullName(reference)} there, ${taken} were taken`;
  } catch (error) {
    if (error instanceof OperatorError && /^(REGISTRY_FAILED|NOT_FOUND|VERIFICATION_FAILED)$/.test(error.code))
      return `what is said about ${fullName(reference)} there was not taken: ${error.message}`;
    throw error;
  }
}
