import { OperatorError } from "../errors/operator-error.ts";
import { canonicalJson, sha256, type Digest } from "../model/canonical.ts";
import { parseManifest } from "../image/oci.ts";
import type { Store } from "../ports/store.ts";
import type { Verifier } from "../ports/verifier.ts";
import type { TrustMaterial } from "../trust/standing.ts";
import { artifactPolicy } from "../trust/policy.ts";
import { verifyArtifact } from "../trust/verify.ts";
import { createAncestry } from "./ancestry.ts";
import { attestationsOf } from "./attestations.ts";

export interface VerifierOptions {
  readonly store: Pick<Store, "read" | "referrers" | "buildOf" | "builds" | "tags">;
  /** @throws {OperatorError} `VERIFICATION_FAILED` when the key log does not hold */
  readonly keys: () => Promise<TrustMaterial>;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
}

/** Judges the artifacts of a store by the evidence that is kept beside them. */
export function createVerifier({ store, keys, now }: VerifierOptions): Verifier {
  return {
    keyLog: async () => nameKeys(await keys(), now()),

    async verify(artifact) {
      const nowMs = now();
      // A log that does not hold is no word against the artifact's own bytes: what it would prove is not proven.
      const trust = await keys().catch(damagedLog);
      // Read by digest: what is hashed here is what is judged, and by what it will be started.
      const manifest = await store.read(artifact);
      await store.read(parseManifest(manifest).config.digest);
      const origin = (await store.buildOf(artifact)) === undefined ? "imported" : "built";
      const policy = artifactPolicy(origin);
      const bundles = await attestationsOf(store, artifact, policy.required);
      if (typeof trust === "string") return { origin, keyLog: null, reasons: [trust] };
      const { reasons } = verifyArtifact({ digest: artifact, manifest, bundles, trust, policy, nowMs });
      return { origin, keyLog: nameKeys(trust, nowMs), reasons };
    },

    ...createAncestry(store),
  };
}

/** What is wrong with a key log, in words. */
function damagedLog(thrown: unknown): string {
  if (thrown instanceof OperatorError && thrown.code === "VERIFICATION_FAILED") return thrown.message;
  throw thrown;
}

/** What signatures are held against, by name: the log, and whose window is not open. */
function nameKeys({ log }: TrustMaterial, nowMs: number): Digest | null {
  const closed = log.keys.filter(
    ({ notBefore, notAfter }) => nowMs < Date.parse(notBefore) || (notAfter !== null && nowMs >= Date.parse(notAfter)),
  );
  if (log.head === null || closed.length === 0) return log.head;
  return sha256(canonicalJson([log.head, ...closed.map(({ id }) => id)]));
}
