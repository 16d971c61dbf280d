import type { LedgerEvent } from "../../ledger/event.ts";
import type { InstanceName, SetName } from "../../model/names.ts";
import type { Act } from "../story.ts";
import type { Effect } from "../life.ts";
import type { Stage } from "../stage.ts";

/** What must hold in every run; docs/simulation.md says of each what it means. */
export type InvariantName =
  | "ready-capacity"
  | "intended-traffic"
  | "no-request-lost"
  | "weights-sum"
  | "deadline"
  | "rollback-target"
  | "analysis-heeded"
  | "nothing-forgotten"
  | "ledger-explains"
  | "nothing-leaks"
  | "at-rest"
  | "answers-true";

/** Who watches a run for one invariant: told of everything that happens, in order. */
export interface Watcher {
  /** An event is on disk, and folded. */
  readonly event?: (event: LedgerEvent) => void;
  /** A living daemon was told that these are on disk. */
  readonly acknowledged?: (events: readonly LedgerEvent[], isIntent: boolean) => void;
  /** A daemon asks for a change of the world. */
  readonly issued?: (effect: Effect) => void;
  /** The world is changed: just before, and when it is so. */
  readonly before?: (effect: Effect) => void;
  readonly after?: (effect: Effect) => void;
  /** A client's request came to an instance; null: the router answered by itself. */
  readonly request?: (at: { readonly set: SetName; readonly instance: InstanceName } | null, status: number) => void;
  /** A request was not answered to its end: it was cut off, or its instance ended under it, so long after it came. */
  readonly broken?: (
    at: { readonly set: SetName; readonly instance: InstanceName },
    of: { readonly afterMs: number; readonly drainMs: number; readonly isSteady: boolean },
  ) => void;
  /** Somebody asks a daemon for something, so many times. */
  readonly asked?: (act: Act, times: number) => void;
  /** Somebody who asked for something got an answer from a daemon that lives. */
  readonly answer?: (act: Act, outcome: Outcome) => void;
  /** A daemon found something wrong with itself. */
  readonly complaint?: (message: string) => void;
  /** Now and then, many times a second. */
  readonly look?: () => void;
  /** A new daemon has read the ledger. */
  readonly started?: () => void;
  /** The machine went off: what was not meant to survive that is gone. */
  readonly powerCut?: () => void;
  /** Faults are over, and time enough has passed. */
  readonly rest?: () => void;
  /** The last daemon was told to end. @param ended it did */
  readonly ended?: (ended: boolean) => void;
}

export type Outcome = { readonly result: unknown } | { readonly error: unknown };

export interface Invariant {
  readonly name: InvariantName;
  readonly watch: (stage: Stage, fail: (finding: string) => void) => Watcher;
}
