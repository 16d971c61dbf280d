import type { ArtifactOrigin } from "../model/content.ts";
import { readProvenance } from "./provenance.ts";
import { predicateTypes } from "./statement.ts";
import type { TrustPolicy } from "./verify.ts";

const requiredOf: Readonly<Record<ArtifactOrigin, readonly string[]>> = {
  built: [predicateTypes.signature, predicateTypes.provenance, predicateTypes.sbom],
  imported: [predicateTypes.signature],
};

/**
 * What there has to be for an artifact, by where it came from. A statement that Bronze makes of anything, a scan or a test's
 * result, says nothing about who stands for it: a signature does. Provenance that is there is read strictly.
 */
export function artifactPolicy(origin: ArtifactOrigin): TrustPolicy {
  return { required: requiredOf[origin], checks };
}

const checks: NonNullable<TrustPolicy["checks"]> = {
  [predicateTypes.provenance]: (predicate) => {
    const read = readProvenance(predicate);
    return typeof read === "string" ? read : undefined;
  },
};
