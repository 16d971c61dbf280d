import type { Digest } from "../model/canonical.ts";
import type { ArtifactOrigin } from "../model/content.ts";

/** What the evidence about an artifact comes to. */
export interface Verification {
  readonly origin: ArtifactOrigin;
  /** Digest of the key log that it was judged by; null: there is none. */
  readonly keyLog: Digest | null;
  /** What is missing or wrong, each in words; empty: it is verified. */
  readonly reasons: readonly string[];
}

/** A way from an artifact to an image that it was made from. */
export interface Descent {
  readonly artifact: Digest;
  readonly from: Digest;
  /** From the artifact to the image, each made from the next; one where they are the same. */
  readonly chain: readonly Digest[];
}

/** Knows what an artifact is to be trusted for: from its bytes, the evidence beside it, the keys, and who built it from what. No network. */
export interface Verifier {
  /** The key log as it is now: what was decided by another one is to be decided anew. */
  keyLog(): Promise<Digest | null>;

  /**
   * Judges an artifact by its evidence. What the evidence of builds has to be is the verifier's to know.
   *
   * @throws {OperatorError} `NOT_FOUND` when the store lacks it, `VERIFICATION_FAILED` when its own bytes are not its digest's,
   *   or the key log was tampered with
   */
  verify(artifact: Digest): Promise<Verification>;

  /** The ways from an artifact to any of these images; also where the store has lost some of what is between. */
  descents(artifact: Digest, from: readonly Digest[]): Promise<readonly Descent[]>;

  /** All artifacts of the store that were made from an image, nearest first. */
  descendants(image: Digest): Promise<readonly Descent[]>;
}
