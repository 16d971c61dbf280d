import type { Digest } from "../model/canonical.ts";
import type { EvidenceKeeper } from "../ports/evidence.ts";
import type { Signer } from "../ports/signer.ts";
import type { Store } from "../ports/store.ts";
import { attest } from "./attestations.ts";

/** Keeps evidence in a store, each as a statement that is signed. */
export function createEvidence(
  store: Pick<Store, "read" | "write" | "attach" | "referrers">,
  signer: Signer,
): EvidenceKeeper {
  /** One after the other for an artifact: the second of two that are equal must see the first. */
  const perArtifact = new Map<Digest, Promise<unknown>>();
  return {
    async attach(subject, { predicateType, predicate }) {
      const before = perArtifact.get(subject) ?? Promise.resolve();
      const work = before.catch(() => {}).then(() => attest(store, signer, { subject, predicateType, predicate }));
      perArtifact.set(subject, work);
      try {
        return await work;
      } finally {
        if (perArtifact.get(subject) === work) perArtifact.delete(subject);
      }
    },
  };
}
