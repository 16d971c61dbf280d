import { canonicalJson, sha256, type Digest, type Json } from "../../model/canonical.ts";
import type { Evidence, EvidenceKeeper } from "../../ports/evidence.ts";

/** Evidence in memory, for artifacts that need not exist. */
export interface MemoryEvidence extends EvidenceKeeper {
  /** What was attached to an artifact, in order, each once. */
  about(artifact: Digest): readonly Evidence[];
}

export function createMemoryEvidence(): MemoryEvidence {
  const kept = new Map<Digest, Map<Digest, Evidence>>();
  return {
    async attach(artifact, evidence) {
      const digest = sha256(canonicalJson([artifact, evidence] as unknown as Json));
      const own = kept.get(artifact) ?? new Map<Digest, Evidence>();
      kept.set(artifact, own.set(digest, evidence));
      return digest;
    },
    about: (artifact) => [...(kept.get(artifact)?.values() ?? [])],
  };
}
