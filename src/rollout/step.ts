import type { CondemnType, WatchFigures } from "../ledger/event.ts";
import type { Route } from "../model/content.ts";
import { webProcess, type AppName, type InstanceName, type ProcessName, type SetName } from "../model/names.ts";
import type { RouteRule } from "../model/observation.ts";
import type { Decision } from "./decisions/decide.ts";
import type { NextStep } from "./strategies/shape.ts";
import type { TaskStep } from "./tasks.ts";
import type { VolumeStep } from "./volumes.ts";

/**
 * What is to be done next for one environment: plain data. Steps of one plan do not depend on each other and may run
 * at the same time; what comes after them is planned when they are done.
 */
export type Step =
  | {
      readonly kind: "ensure";
      readonly set: SetName;
      /** Absent: `web`. */
      readonly process?: ProcessName;
      readonly count: number;
      readonly ordinals: readonly number[];
      /** Apps that it needs and that do not serve: it was waited for them in vain. */
      readonly without?: readonly AppName[];
      /** Instances that run and are not counted: they are to end. */
      readonly ending?: readonly InstanceName[];
    }
  /** Instances get their places in the router, or lose them: what a large set has besides costs nothing. Both sorted. */
  | {
      readonly kind: "place";
      readonly set: SetName;
      readonly add: readonly InstanceName[];
      readonly remove: readonly InstanceName[];
    }
  | {
      readonly kind: "switch";
      readonly release: number;
      readonly set: SetName;
      /** By which it goes live; absent: there was nothing to decide. */
      readonly decisions?: readonly Decision[];
    }
  | { readonly kind: "route"; readonly route: Route; readonly rule: RouteRule | null }
  /** A step of the strategy is reached. */
  | ({ readonly kind: "step"; readonly release: number; readonly decisions: readonly Decision[] } & NextStep)
  /** Something was decided that has no other effect. */
  | { readonly kind: "decide"; readonly release: number; readonly decision: Decision }
  /** What was measured of it ends its rollout. */
  | {
      readonly kind: "reject";
      readonly release: number;
      readonly reason: string;
      readonly decisions: readonly Decision[];
    }
  /** What was measured of it says too little: a person lets it go on. */
  | { readonly kind: "pause"; readonly release: number; readonly decision: Decision }
  | {
      readonly kind: "fail";
      readonly release: number;
      readonly instance: InstanceName | null;
      readonly reason: FailReason;
      readonly decision: Decision;
    }
  /** What it brings was revoked meanwhile. */
  | { readonly kind: "refuse"; readonly release: number; readonly reason: string }
  | { readonly kind: "prove"; readonly release: number; readonly reason: "watched"; readonly decision: Decision }
  | {
      readonly kind: "take-back";
      readonly release: number;
      readonly to: number;
      readonly figures: WatchFigures | null;
      readonly reason: string;
      /** Of the watch; absent: it was revoked. */
      readonly decision?: Decision;
    }
  | {
      readonly kind: "warn";
      readonly release: number;
      readonly figures: WatchFigures;
      readonly reason: string;
      readonly decision: Decision;
    }
  | { readonly kind: "retire"; readonly set: SetName; readonly reason: string }
  | { readonly kind: "condemn"; readonly instance: InstanceName; readonly type: CondemnType; readonly reason: string }
  | {
      readonly kind: "end";
      readonly set: SetName;
      readonly instance: InstanceName;
      /** ms since the epoch; null: at once. */ readonly drainUntilMs: number | null;
    }
  | { readonly kind: "forget"; readonly set: SetName }
  | {
      readonly kind: "hold";
      readonly release: number;
      readonly to: number;
      readonly figures: WatchFigures;
      readonly reason: string;
      readonly decision: Decision;
    }
  | TaskStep
  | VolumeStep;

/**
 * Why a rollout cannot come through: an instance ended, never became healthy, was healthy and keeps ending or failing its
 * probes; its own time is over, or that for which a person may keep it waiting.
 */
export type FailReason = "exited" | "unhealthy" | "crashing" | "failing" | "deadline" | "paused";

/** What a piece of work is, and of what: not put together into one text, as it is asked for all the time. */
export interface StepKey {
  readonly work: string;
  readonly of: string | number;
}

/** Two steps with equal keys are the same piece of work and never run at the same time. */
export function stepKey(step: Step): StepKey {
  switch (step.kind) {
    case "ensure":
      return { work: ensureWork(step.process), of: step.set };
    case "place":
    case "retire":
    case "forget":
      return { work: step.kind, of: step.set };
    case "start-task":
    case "finish-task":
    case "clear-task":
    case "condemn":
    case "end":
      return { work: step.kind, of: step.instance };
    case "ask":
      return { work: `ask ${step.release}`, of: step.index };
    case "snapshot":
      return { work: step.kind, of: step.volume };
    case "route":
    case "switch":
      // Both change what answers a route: one at a time.
      return { work: "route", of: "" };
    case "step":
    case "decide":
    case "reject":
    case "pause":
    case "fail":
    case "refuse":
    case "prove":
    case "take-back":
    case "warn":
    case "hold":
    case "attest":
    case "yield":
      return { work: step.kind, of: step.release };
  }
}

/** The work of starting a process's instances. */
export function ensureWork(process: ProcessName = webProcess): string {
  return process === webProcess ? "ensure" : `ensure ${process}`;
}
