import { OperatorError } from "../../errors/operator-error.ts";
import { parseManifest, type BlobDescriptor } from "../../image/oci.ts";
import { hashFile } from "../../linux/hash-file.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import { attestationsOf } from "../../store/attestations.ts";
import type { TrustMaterial } from "../../trust/standing.ts";
import { verifyArtifact, type BundleVerdict, type TrustPolicy } from "../../trust/verify.ts";

/** One of an artifact's blobs, after it was hashed. */
export interface HashedPart extends BlobDescriptor {
  /** Why it is not what the manifest says, in words for people; null: it is. */
  readonly problem: string | null;
}

/** What became of a verification. */
export interface Inspection {
  readonly artifact: Digest;
  readonly ok: boolean;
  /** Why not, in words for people. */
  readonly reasons: readonly string[];
  /** Config and layers. */
  readonly parts: readonly HashedPart[];
  readonly bundles: readonly BundleVerdict[];
}

/**
 * Verifies an artifact of the store: all its bytes, then what is said about it. No socket is opened.
 *
 * @throws {OperatorError} `NOT_FOUND` when the store lacks it, `VERIFICATION_FAILED` when it is no image
 */
export async function inspectArtifact(
  store: Pick<Store, "read" | "path" | "stat" | "referrers">,
  artifact: Digest,
  trust: TrustMaterial,
  policy: TrustPolicy,
): Promise<Inspection> {
  const manifest = await store.read(artifact);
  const { config, layers } = parseManifest(manifest);
  const parts: HashedPart[] = [];
  for (const part of new Map([config, ...layers].map((one) => [one.digest, one])).values())
    parts.push({ ...part, problem: await whyNotWhole(store, part) });
  const bundles = await attestationsOf(store, artifact);
  const decision = verifyArtifact({ digest: artifact, manifest, bundles, trust, policy, nowMs: Date.now(), all: true });
  const damage = parts.flatMap(({ digest, problem }) => (problem === null ? [] : `${digest} ${problem}`));
  const reasons = [...damage, ...decision.reasons];
  return { artifact, ok: reasons.length === 0, reasons, parts, bundles: decision.bundles };
}

async function whyNotWhole(store: Pick<Store, "path" | "stat">, part: BlobDescriptor): Promise<string | null> {
  try {
    const { digest, sizeBytes } = await hashFile(await store.path(part.digest));
    if (sizeBytes !== part.size) return `has ${sizeBytes} bytes, the manifest says ${part.size}`;
    return digest === part.digest ? null : `was changed: its bytes are ${digest}`;
  } catch (error) {
    if (error instanceof OperatorError && error.code === "NOT_FOUND") return "is lost";
    throw error;
  }
}
