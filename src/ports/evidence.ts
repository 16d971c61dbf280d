import type { Digest, Json } from "../model/canonical.ts";

/** Something that is said about an artifact: the predicate of an in-toto statement whose subject the artifact is. */
export interface Evidence {
  /** What kind of statement it is, a URI: `https://in-toto.io/attestation/test-result/v0.1`. */
  readonly predicateType: string;
  readonly predicate: { readonly [key: string]: Json };
}

/** Keeps evidence beside the artifacts that it is about. */
export interface EvidenceKeeper {
  /**
   * Attaches evidence to an artifact as one of its OCI referrers; on disk when it resolves. The same evidence is kept once.
   *
   * @returns digest of the manifest that carries it
   * @throws {OperatorError} `NOT_FOUND` when the store lacks the artifact, `DISK_FULL`
   */
  attach(artifact: Digest, evidence: Evidence): Promise<Digest>;
}
