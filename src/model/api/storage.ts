/** Hashes everything that is stored and looks for leftovers. */
export interface StorageRequest {
  /** Also mends what can be mended; otherwise nothing is changed. */
  readonly mend: boolean;
}

/** Something about what is stored that is not as it should be. */
export interface StorageFinding {
  readonly kind: "ledger" | "projections" | "blob" | "image" | "leftover";
  readonly subject: string;
  readonly finding: string;
  /** What `bronze doctor --repair` does about it; null: a person has to act. */
  readonly repair: string | null;
  /** It was mended by this very request. */
  readonly mended: boolean;
  /** What a person does; null: nothing. */
  readonly advice: string | null;
}

export interface StorageReport {
  /** Nothing is wrong, or everything that was is mended. Leftovers alone harm nothing. */
  readonly ok: boolean;
  /** Blobs and images that were hashed. */
  readonly files: number;
  readonly bytes: number;
  readonly events: number;
  readonly findings: readonly StorageFinding[];
}
