import { OperatorError } from "../../errors/operator-error.ts";
import { canonicalJson, sha256, type Digest, type Json } from "../../model/canonical.ts";
import type { Evidence, EvidenceKeeper } from "../../ports/evidence.ts";

/** Evidence in memory. */
export interface MemoryEvidence extends EvidenceKeeper {
  /** What was attached to an artifact, in order, each once. */
  about(artifact: Digest): readonly Evidence[];
}

/** @param options.lacks artifacts that are not there; all others are */
export function createMemoryEvidence(options: { readonly lacks?: ReadonlySet<Digest> } = {}): MemoryEvidence {
  const kept = new Map<Digest, Map<Digest, Evidence>>();
  return {
    async attach(artifact, evidence) {
      if (options.lacks?.has(artifact) === true)
        throw new OperatorError("NOT_FOUND", `Cannot keep evidence about ${artifact}: not in the store`, {
          hint: "build or import it",
        });
      const digest = sha256(canonicalJson([artifact, evidence] as unknown as Json));
      const own = kept.get(artifact) ?? new Map<Digest, Evidence>();
      kept.set(artifact, own.set(digest, evidence));
      return digest;
    },
    about: (artifact) => [...(kept.get(artifact)?.values() ?? [])],
  };
}
