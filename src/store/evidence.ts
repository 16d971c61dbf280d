import type { EvidenceKeeper } from "../ports/evidence.ts";
import type { Signer } from "../ports/signer.ts";
import type { Store } from "../ports/store.ts";
import { attest } from "./attestations.ts";

/** Keeps evidence in a store, each as a statement that is signed. */
export function createEvidence(
  store: Pick<Store, "read" | "write" | "attach" | "referrers">,
  signer: Signer,
): EvidenceKeeper {
  return {
    attach: (subject, { predicateType, predicate }) => attest(store, signer, { subject, predicateType, predicate }),
  };
}
