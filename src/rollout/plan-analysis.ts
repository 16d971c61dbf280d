import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import { analysedStepMs, type Analysis } from "../model/analysis.ts";
import type { SetName } from "../model/names.ts";
import { wholeWeight } from "../model/strategy.ts";
import type { MeasuredMetric, StepInputs } from "./decisions/analysis.ts";
import type { BaselineInputs } from "./decisions/baseline.ts";
import { decide, type Decision } from "./decisions/decide.ts";
import type { ErrorInputs } from "./decisions/errors.ts";
import type { Step } from "./step.ts";
import { strategyOf } from "./targets.ts";

/** What is to be measured now. */
export interface AnalysisDemand {
  /** One run has one key: another one begins anew. */
  readonly key: string;
  readonly release: number;
  readonly analysis: Analysis;
  readonly fresh: SetName;
  /** Sets that serve beside it. */
  readonly live: readonly SetName[];
  /** Nothing is to go to what serves beside it. */
  readonly alone: boolean;
  readonly holdMs: number | null;
  /** It holds nothing up. */
  readonly beside: boolean;
}

/** What was measured so far. */
export interface AnalysisView {
  /** Of the demand that it is for. */
  readonly key: string;
  readonly metrics: readonly MeasuredMetric[];
  /** What the rule over the router's counts looked at last, for each metric that is judged by it. */
  readonly errors: readonly ErrorInputs[];
  /** What is live, as it was before the new content had traffic. */
  readonly baseline: BaselineInputs;
}

/** What is to be measured of the rollout under way; undefined: nothing. */
export function analysisDemand(record: EnvironmentRecord): AnalysisDemand | undefined {
  const release = record.active === null ? undefined : record.releases.get(record.active);
  if (release === undefined || record.live === null || release.progress.analysis === "skipped") return undefined;
  const { progress } = release;
  if (progress.step === 0 || progress.hurried || record.switching !== null) return undefined;
  const { strategy } = strategyOf(record, release);
  if (strategy.kind === "recreate" || strategy.analysis === undefined) return undefined;
  const demand = demandOf(record, release, strategy.analysis);
  switch (strategy.kind) {
    case "rolling":
      return demand;
    case "blue-green":
      return { ...demand, key: `${demand.key}/${progress.step}`, holdMs: strategy.holdMs, beside: false };
    case "canary": {
      const step = strategy.steps[progress.step - 1];
      if (step?.analyse !== true) return undefined;
      const key = `${demand.key}/${progress.step}`;
      return { ...demand, key, holdMs: step.holdMs, alone: step.weight === wholeWeight, beside: false };
    }
  }
}

function demandOf(record: EnvironmentRecord, { number, set }: ReleaseRecord, analysis: Analysis): AnalysisDemand {
  const serving = [...record.sets.values()].filter(
    ({ name, role }) => name !== set && (role === "live" || role === "leaving"),
  );
  return {
    key: `${number}`,
    release: number,
    analysis,
    fresh: set,
    live: serving.map(({ name }) => name).sort(),
    alone: false,
    holdMs: 0,
    beside: true,
  };
}

/** What the analysis comes to for the rollout under way. */
export interface AnalysisPlan {
  readonly steps: readonly Step[];
  /** Whether the step that was reached may be left. */
  readonly passed: boolean;
  /** By what it may; absent: nothing is measured. */
  readonly decision?: Decision;
}

const unanalysed: AnalysisPlan = { steps: [], passed: true };

/** What follows from what was measured. */
export function planAnalysis(record: EnvironmentRecord, view: AnalysisView | undefined, nowMs: number): AnalysisPlan {
  const demand = analysisDemand(record);
  const release = demand === undefined ? undefined : record.releases.get(demand.release);
  if (demand === undefined || release === undefined) return unanalysed;
  // Nobody has looked yet.
  if (view === undefined || view.key !== demand.key) return { steps: [], passed: demand.beside };
  const { number, progress } = release;
  if (progress.analysis === null)
    return { steps: [{ kind: "decide", release: number, decision: decide("baseline", view.baseline) }], passed: false };
  const decision = decide("analysis", inputsOf(demand, release, view, nowMs));
  const { verdict, reason, extended } = decision.outcome;
  switch (verdict) {
    case "abort": {
      const because = view.errors.map((errors) => decide("errors", errors)).filter(({ outcome }) => outcome.fires);
      return { steps: [{ kind: "reject", release: number, reason, decisions: [...because, decision] }], passed: false };
    }
    case "pause":
      return { steps: progress.paused === null ? [{ kind: "pause", release: number, decision }] : [], passed: false };
    case "extend": {
      const isNew = extended > progress.extended && progress.paused === null;
      return { steps: isNew ? [{ kind: "decide", release: number, decision }] : [], passed: false };
    }
    case "wait":
      return { steps: [], passed: false };
    case "go on":
      // What runs beside has nothing to do with how far the rollout is.
      return demand.beside ? unanalysed : { steps: [], passed: true, decision };
  }
}

/** Whether anything follows from what was measured so far; as a rule it is only measured on. */
export function isConclusive(record: EnvironmentRecord, view: AnalysisView | undefined, nowMs: number): boolean {
  const { steps, decision } = planAnalysis(record, view, nowMs);
  return steps.length > 0 || decision !== undefined;
}

function inputsOf(demand: AnalysisDemand, { progress }: ReleaseRecord, view: AnalysisView, nowMs: number): StepInputs {
  const { step, sinceMs, paused, cleared } = progress;
  const { analysis, holdMs, beside } = demand;
  return {
    metrics: view.metrics,
    elapsedMs: Math.max(0, (paused?.sinceMs ?? nowMs) - sinceMs),
    holdMs,
    lengthMs: analysedStepMs(analysis, holdMs ?? 0),
    cleared: beside ? cleared >= 0 : cleared === step,
    beside,
  };
}
