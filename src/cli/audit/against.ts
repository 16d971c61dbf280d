import { readCheckpoints } from "../../drivers/checkpoints/file.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { readEntry } from "../../ledger/checkpoint.ts";
import { gatherRuns, type CheckpointRun } from "../../ledger/checkpoint-runs.ts";
import { Witness, type Mismatch } from "../../ledger/witness.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import type { Signer } from "../../ports/signer.ts";
import { readAtMost } from "../bounded-file.ts";

const mostBytes = 256 * 2 ** 20;

/** What a ledger is held against. */
export interface Held {
  /** Where it comes from: a path. Null: kept by the daemon itself. */
  readonly path: string | null;
  readonly run: CheckpointRun;
}

/** What came of it. */
export interface HeldResult extends Held {
  readonly mismatch: Mismatch | null;
}

/**
 * The checkpoints of a file that somebody put by.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` unless all of them are believed, `NOT_FOUND`, `ARGUMENT_INVALID` for what is too long
 */
export async function checkpointsOf(path: string, signer: Signer): Promise<readonly Held[]> {
  const bytes = await readAtMost(path, mostBytes).catch((cause: unknown) => {
    throw new OperatorError("NOT_FOUND", `Cannot read "${path}"`, {
      hint: "give a file of `bronze audit checkpoint`",
      cause,
    });
  });
  if (bytes === undefined)
    throw new OperatorError("ARGUMENT_INVALID", `Cannot read "${path}": it has more than ${mostBytes} bytes`, {
      hint: "give a file of `bronze audit checkpoint`, which is shorter",
    });
  const lines = bytes
    .toString("utf8")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const { runs, problems } = gatherRuns(lines.map(readEntry), await signer.trust(), Date.now());
  const [problem] = problems;
  if (problem === undefined && runs.length > 0) return runs.map((run) => ({ path, run }));
  throw new OperatorError(
    "VERIFICATION_FAILED",
    `Cannot believe the checkpoint "${path}": ${problem ?? "it is empty"}`,
    {
      hint: "give one that `bronze audit checkpoint` of this machine wrote; it proves nothing for or against the ledger",
    },
  );
}

/** The daemon's own; those that are not believed any more prove nothing and are named. */
export async function keptCheckpoints(
  stateDir: string,
  signer: Signer,
): Promise<{ readonly held: readonly Held[]; readonly problems: readonly string[] }> {
  const { runs, problems } = gatherRuns(await readCheckpoints(stateDir), await signer.trust(), Date.now());
  return { held: runs.map((run) => ({ path: null, run })), problems };
}

/** Holds a ledger against all of them in one go. */
export async function holdAgainst(
  events: AsyncIterable<LedgerEvent>,
  all: readonly Held[],
): Promise<readonly HeldResult[]> {
  const witnesses = all.map((held) => ({
    held,
    witness: new Witness(held.run.checkpoints, held.run.fingerprints),
  }));
  for await (const event of events) for (const { witness } of witnesses) witness.take(event);
  return witnesses.map(({ held, witness }) => ({ ...held, mismatch: witness.finish() }));
}
