import type { Strategy } from "../model/strategy.ts";
import type { Moment } from "./life.ts";

/** Everything that happens in a run besides what follows from it: plain data, made from a seed, cut down by shrinking. */
export interface Story {
  readonly seed: number;
  /** Time between two requests of clients, in ms. */
  readonly everyMs: number;
  /** What instances of each content do; a content is named by its place here. */
  readonly contents: readonly Traits[];
  /** What people ask for, in order of time. */
  readonly acts: readonly Act[];
  /** What goes wrong, in order of time. */
  readonly faults: readonly Fault[];
}

/** What instances of a content do. */
export interface Traits {
  /** Time until an instance has a process. */
  readonly startMs: number;
  /** Time from then on until it answers; null: never. */
  readonly readyMs: number | null;
  /** Each instance is ready so much later than the one before it, in ms; default: all at once. */
  readonly spreadMs?: number;
  /** Of one request while it has few. */
  readonly latencyMs: number;
  /** Requests that it works on at once before each takes longer. */
  readonly capacity: number;
  /** Share of requests that it answers with 500, in percent. */
  readonly errorPercent: number;
  /** It ends by itself after so long; null: it runs on. */
  readonly exitMs: number | null;
  /** It ends at SIGTERM; else it takes its whole grace period. */
  readonly endsOnTerm: boolean;
  /** What those say who measure it for an analysis; default: that it does well. */
  readonly measured?: Measured;
}

/** Words for what comes of measurements: always the same, one time this and one time that, no number, no answer at all. */
export type Measured = "well" | "badly" | "wavering" | "nothing" | "unknown";

/** Something that a person asks for. */
export type Act = {
  /** Since the beginning of the run. */
  readonly atMs: number;
} & (
  | {
      readonly kind: "deploy";
      readonly content: number;
      /** Of the config that comes with it: another one makes another content. */
      readonly variant: number;
      readonly instances: number;
      readonly strategy: Strategy;
      readonly deadlineMs: number;
      readonly healthDeadlineMs: number;
      readonly minReadyMs: number;
      readonly watchMs: number;
      readonly keepWarmMs: number;
      readonly drainMs: number;
      /** Asked for twice, as by one who lost the first answer. */
      readonly twice: boolean;
    }
  /** @see RollbackRequest; `back`: so many releases before the newest, null: where it leads by itself */
  | { readonly kind: "rollback"; readonly back: number | null }
  | { readonly kind: "scale"; readonly instances: number }
  | { readonly kind: "config"; readonly value: number }
  | { readonly kind: "down" }
  | { readonly kind: "pause" | "resume" | "complete" | "abort" }
  /** @see AllowRequest; `back`: so many releases before the newest */
  | { readonly kind: "allow"; readonly back: number }
);

/** Something that goes wrong. `which` stands for one of the instances that run then. */
export type Fault = { readonly atMs: number } & (
  | { readonly kind: "exit"; readonly which: number }
  | { readonly kind: "answer"; readonly which: number; readonly status: number | null; readonly forMs: number }
  | { readonly kind: "flap"; readonly which: number; readonly everyMs: number; readonly times: number }
  | { readonly kind: "orphan"; readonly which: number }
  | { readonly kind: "drift"; readonly which: number }
  | { readonly kind: "slow-starts"; readonly byMs: number; readonly forMs: number }
  | { readonly kind: "no-starts"; readonly full: boolean; readonly forMs: number }
  /** The next calls of a port fail; `lost`: they come into effect, and their answer is an error all the same. */
  | {
      readonly kind: "refused";
      readonly port: "router" | "runtime";
      readonly calls: number;
      readonly lost: boolean;
    }
  | { readonly kind: "slow-router"; readonly byMs: number; readonly calls: number }
  /** The next calls of a port come into effect twice. */
  | { readonly kind: "doubled"; readonly port: "router" | "runtime"; readonly calls: number }
  | { readonly kind: "journal-full"; readonly forMs: number }
  | { readonly kind: "memory-short"; readonly forMs: number }
  | { readonly kind: "log-lost" }
  | { readonly kind: "clock-jump"; readonly byMs: number }
  /** The daemon dies at one of its next calls, or is killed where it stands at `calls` 0. */
  | { readonly kind: "kill"; readonly calls: number; readonly moment: Moment; readonly awayMs: number }
  | { readonly kind: "power-cut"; readonly awayMs: number }
);
