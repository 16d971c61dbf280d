import type { Changes } from "../daemons.ts";
import type { InvariantName } from "../invariants/invariant.ts";

/** A bug that is put in on purpose, to see that it is found. */
export interface Bug {
  readonly name: string;
  /** What is wrong, in one sentence. */
  readonly what: string;
  /** What it breaks. */
  readonly breaks: InvariantName;
  /** A seed that finds it. */
  readonly seed: number;
  readonly changes: Changes;
}
