import type { KeyId } from "../trust/envelope.ts";
import type { TrustMaterial } from "../trust/standing.ts";

/** Signs statements with the machine's key. */
export interface Signer {
  /**
   * Signs a statement's bytes, in DSSE's encoding. The first key is made at the first use, on disk before this resolves.
   *
   * @throws {OperatorError} `SIGNING_KEY` when the key cannot be used, `VERIFICATION_FAILED` when the key log does not hold,
   * `MACHINE_REFUSED`, `DISK_FULL`
   */
  sign(statement: Uint8Array): Promise<Signed>;
  /**
   * What signatures are held against. Without keys: an empty log.
   *
   * @throws {OperatorError} `VERIFICATION_FAILED` when the key log does not hold
   */
  trust(): Promise<TrustMaterial>;
}

export interface Signed {
  readonly keyId: KeyId;
  /** ECDSA, ASN.1. */
  readonly signature: Uint8Array;
}
