import type { TrustMaterial } from "../trust/standing.ts";
import { believeCheckpoint, fingerprintBytes, type BelievedCheckpoint, type CheckpointEntry } from "./checkpoint.ts";

/** Checkpoints that go on from one another, and the fingerprints that came with them. */
export interface CheckpointRun {
  /** In the order in which they were made; at least one. */
  readonly checkpoints: readonly BelievedCheckpoint[];
  /** Of the events from the first on, as far as they are there. */
  readonly fingerprints: Buffer;
}

/**
 * Verifies the checkpoints of a file, and puts those together that go on from one another. A daemon begins anew where the ledger is not
 * the one of which it signed the last.
 *
 * @param entries lines in their order; those that are none as what is wrong with them
 * @param nowMs wall clock, ms since the epoch
 * @returns `problems`: why others are not believed, in words for people
 */
export function gatherRuns(
  entries: readonly (CheckpointEntry | string)[],
  trust: TrustMaterial,
  nowMs: number,
): { readonly runs: readonly CheckpointRun[]; readonly problems: readonly string[] } {
  const runs: { checkpoints: BelievedCheckpoint[]; prints: Buffer[]; bytes: number }[] = [];
  const problems: string[] = [];
  for (const entry of entries) {
    if (typeof entry === "string") {
      problems.push(entry);
      continue;
    }
    let run = runs.at(-1);
    if (run === undefined || entry.after === 0) runs.push((run = { checkpoints: [], prints: [], bytes: 0 }));
    // What a checkpoint that is lost told of its events is not known: those after it are not where they seem.
    if (entry.after * fingerprintBytes === run.bytes) {
      run.prints.push(entry.fingerprints);
      run.bytes += entry.fingerprints.length;
    }
    const believed = believeCheckpoint(entry.bundle, trust, nowMs);
    if (typeof believed === "string") problems.push(believed);
    else run.checkpoints.push(believed);
  }
  return {
    runs: runs
      .filter(({ checkpoints }) => checkpoints.length > 0)
      .map(({ checkpoints, prints }) => ({ checkpoints, fingerprints: Buffer.concat(prints) })),
    problems,
  };
}
