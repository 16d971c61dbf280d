import { mostExtensions } from "../../model/analysis.ts";
import { formatDuration } from "../../model/quantities.ts";
import { assessRun, type AnalysisPhase, type MetricState } from "../analysis.ts";

/** One metric of a step, as far as it has come. */
export interface MeasuredMetric extends MetricState {
  readonly name: string;
  /** Measurements that were asked for; null: as many as there are while the step lasts. */
  readonly wanted: number | null;
  /** Too little came of it to say anything. */
  readonly lacks: boolean;
}

export interface StepInputs {
  readonly metrics: readonly MeasuredMetric[];
  /** Since the step was reached, without the time it was paused, in ms. */
  readonly elapsedMs: number;
  /** How long it is held; null: until a person resumes. */
  readonly holdMs: number | null;
  /** How long it takes until all is measured; what it is made longer by where nothing was. */
  readonly lengthMs: number;
  /** A person let it go on, whatever was not measured. */
  readonly cleared: boolean;
  /** It holds nothing up: it is measured while instances are replaced. */
  readonly beside: boolean;
}

export interface StepOutcome {
  readonly verdict: "wait" | "go on" | "extend" | "pause" | "abort";
  /** What decided; empty: nothing in particular. */
  readonly reason: string;
  /** How often the step was made longer. */
  readonly extended: number;
}

/**
 * What becomes of a step that is analysed: ended when a metric failed or cannot be measured, paused for a person when one
 * is inconclusive, made longer where nothing came to be measured, and then paused: nothing is guessed.
 */
export function judgeStep(inputs: StepInputs): StepOutcome {
  const { metrics, elapsedMs, holdMs, lengthMs, cleared, beside } = inputs;
  const phase = assessRun(new Map(metrics.map((metric) => [metric.name, metric])));
  const outcome = (verdict: StepOutcome["verdict"], reason = "", extended = 0): StepOutcome => ({
    verdict,
    reason,
    extended,
  });
  if (phase === "failed" || phase === "error") return outcome("abort", reasonOf(metrics, phase));
  if (cleared) return outcome("go on", "a person let it go on");
  // Whoever is waited for sees what was measured.
  if (holdMs === null) return outcome("wait");
  if (phase === "inconclusive") return outcome("pause", reasonOf(metrics, phase));
  if (beside) return outcome("go on");
  if (elapsedMs < holdMs) return outcome("wait");
  const open = metrics.filter(({ phase: one, wanted, lacks }) => one === "running" && (wanted !== null || lacks));
  if (open.length === 0) return outcome("go on", `nothing was found in ${formatDuration(elapsedMs)}`);
  const extended = Math.floor(elapsedMs / Math.max(1, lengthMs));
  if (extended === 0) return outcome("wait");
  const reason = open.map(({ name, last }) => `${name}: ${last === "" ? "not measured yet" : last}`).join("; ");
  return extended <= mostExtensions ? outcome("extend", reason, extended) : outcome("pause", reason, mostExtensions);
}

function reasonOf(metrics: readonly MeasuredMetric[], phase: AnalysisPhase): string {
  return metrics
    .filter((metric) => metric.phase === phase)
    .map(({ name, last }) => `${name}: ${last}`)
    .join("; ");
}

export function stepSentence({ lengthMs }: StepInputs, { verdict, reason, extended }: StepOutcome): string {
  switch (verdict) {
    case "abort":
      return `the analysis failed: ${reason}`;
    case "pause":
      return `a person decides, as the analysis came to nothing: ${reason}`;
    case "extend":
      return `this step takes ${formatDuration(lengthMs)} longer (${extended} of ${mostExtensions}), as too little could be measured: ${reason}`;
    case "go on":
      return `this step is passed: ${reason}`;
    case "wait":
      return "it is being measured";
  }
}
