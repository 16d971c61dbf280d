import type { Digest } from "../canonical.ts";
import type { AppName, EnvironmentName } from "../names.ts";
import type { StrategyKind } from "../strategy.ts";
import type { Asked } from "./asked.ts";
import type { ReleaseState } from "./releases.ts";
import type { InstanceStatus } from "./status.ts";

/** What a deploy would do now; nothing is changed. */
export interface DeployPlan {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  /** Number it would get. */
  readonly release: number;
  /** The release that is live; null: none. */
  readonly live: number | null;
  readonly strategy: StrategyKind;
  /** Why it is another strategy than was asked for; absent: it is not. */
  readonly because?: string;
  /** `none`: this content is live already; `first`: nothing is live; `stop-first`: what is live ends before it starts. */
  readonly way: "none" | "first" | "stop-first" | "steps";
  /** In order; the last one is the switch. Empty where there is nothing to do. */
  readonly steps: readonly PlannedStep[];
  /** How long the replaced content stands by for a rollback, in ms; 0: not at all. */
  readonly keepWarmMs: number;
  /** Volumes for which what is live ends first. */
  readonly stopsFor: readonly string[];
}

/** One step of a rollout that goes well. */
export interface PlannedStep {
  /** From 1; null: the switch. */
  readonly step: number | null;
  /** `web` instances of what comes and of what is live. */
  readonly coming: number;
  readonly live: number;
  /** Share of the requests that what comes has, in 1/10000. */
  readonly weight: number;
  /** Time that it is held at least before the next step, in ms; null: until a person resumes. */
  readonly holdMs: number | null;
  /** Whether what it answers is judged before the next step. */
  readonly analyse: boolean;
}

/** Changes the rollout under way. */
export interface RolloutRequest extends Asked {
  /** `complete`: its remaining steps are left out, and it is waited for until it is live. */
  readonly action: "pause" | "resume" | "complete" | "abort";
}

/** Lets the content of a release be deployed again that proved bad. */
export interface AllowRequest extends Asked {
  readonly release: number;
}

/** What came of either. */
export interface RolloutResult {
  readonly release: number;
  readonly digest: Digest;
  readonly state: ReleaseState;
  /** False: it was so already. */
  readonly changed: boolean;
  /** The release that is live; null: none. */
  readonly serving: number | null;
  /** The newest step that was reached, from 1, and its share of the requests in 1/10000. */
  readonly step: number;
  readonly weight: number;
}

/** A rollout under way. Weights are in 1/10000 of the requests. */
export interface RolloutStatus {
  readonly release: number;
  readonly of: number | null;
  readonly type: "deploy" | "rollback";
  readonly strategy: StrategyKind;
  /** Why it is another strategy than was asked for; null: it is not. */
  readonly because: string | null;
  readonly healthy: number;
  readonly wanted: number;
  readonly sinceMs: number;
  readonly deadlineInMs: number;
  /** The newest step that was reached, from 1; 0: none yet. */
  readonly step: number;
  /** How many the strategy has; null: as many as it takes. */
  readonly steps: number | null;
  /** What the release is to have at its step. */
  readonly weight: number;
  /** Oldest first: what serves, and what comes. */
  readonly sets: readonly RolloutSet[];
  /** Time until the step is over; null: no time ends it. */
  readonly holdLeftMs: number | null;
  readonly paused: {
    readonly by: "plan" | "person" | "analysis";
    readonly reason: string;
    readonly forMs: number;
    /** Then it is ended. */
    readonly endsInMs: number;
  } | null;
  /** Its remaining steps are left out. */
  readonly hurried: boolean;
  /** Absent: nothing is measured. */
  readonly analysis?: AnalysisStatus;
}

/** What was measured at the step that was reached. */
export interface AnalysisStatus {
  /** What is live failed itself. */
  readonly skipped: boolean;
  /** How often the step was made longer, as too little could be measured. */
  readonly extended: number;
  readonly metrics: readonly {
    readonly name: string;
    readonly phase: "running" | "successful" | "failed" | "inconclusive" | "error";
    readonly measured: number;
    /** The newest measurement in words; empty: there is none. */
    readonly last: string;
  }[];
}

export interface RolloutSet {
  readonly release: number;
  readonly role: InstanceStatus["role"];
  /** `web` instances that are ready, of those it has. */
  readonly ready: number;
  readonly instances: number;
  /** What the router gives it; null: it has no route, or nobody knows any more. */
  readonly weight: number | null;
}

export interface QuarantinedContent {
  readonly digest: Digest;
  /** The release that showed it. */
  readonly release: number;
  readonly reason: string;
  readonly sinceMs: number;
}
