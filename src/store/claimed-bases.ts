import { OperatorError } from "../errors/operator-error.ts";
import { parseManifest } from "../image/oci.ts";
import { isDigest, type Digest } from "../model/canonical.ts";
import type { Store } from "../ports/store.ts";
import { readBundle } from "../trust/bundle.ts";
import { named, readProvenance } from "../trust/provenance.ts";
import { predicateTypes, readStatement } from "../trust/statement.ts";
import { attestationsOf } from "./attestations.ts";

/** @see OCI image specification, "Pre-Defined Annotation Keys" */
const baseAnnotation = "org.opencontainers.image.base.digest";
/** What provenance calls them. */
const baseResource = "base image";

/**
 * The images that one says it was made from: its manifest, and provenance that came with it. Who says so is not asked: it
 * only ever counts against it.
 */
export async function claimedBases(
  store: Pick<Store, "read" | "referrers">,
  image: Digest,
): Promise<readonly Digest[]> {
  const claimed: string[] = [];
  try {
    claimed.push(parseManifest(await store.read(image)).annotations[baseAnnotation] ?? "");
    for (const { bytes } of await attestationsOf(store, image, [predicateTypes.provenance])) {
      const bundle = readBundle(bytes);
      const statement = typeof bundle === "string" ? bundle : readStatement(bundle.payload);
      if (typeof statement === "string" || statement.predicateType !== predicateTypes.provenance) continue;
      const provenance = readProvenance(statement.predicate);
      if (typeof provenance === "string") continue;
      const bases = named(provenance.buildDefinition.resolvedDependencies, baseResource);
      claimed.push(...bases.map(({ digest }) => `sha256:${digest?.["sha256"] ?? ""}`));
    }
  } catch (error) {
    // What is lost or damaged says nothing here, and is refused when it is to start.
    if (!(error instanceof OperatorError)) throw error;
  }
  return [...new Set(claimed.filter(isDigest))];
}
