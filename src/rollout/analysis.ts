import {
  formatCondition,
  holds,
  type Analysis,
  type Condition,
  type Metric,
  type ValueName,
} from "../model/analysis.ts";

/** What a measurement gave. */
export type Measured =
  | { readonly kind: "values"; readonly values: { readonly [name in ValueName]?: number } }
  /** The rule over the router's counts looked at them. */
  | { readonly kind: "judged"; readonly fires: boolean; readonly finding: string }
  /** There is nothing to measure yet: no traffic, no samples. It counts for nothing. */
  | { readonly kind: "nothing"; readonly reason: string }
  /** What is known is not whole: it proves nothing either way. */
  | { readonly kind: "gap"; readonly reason: string }
  | { readonly kind: "error"; readonly reason: string };

/** What a measurement came to; `nothing` where there was nothing to measure. */
export type MeasurementPhase = "successful" | "failed" | "inconclusive" | "error" | "nothing";

/** What a metric, or a whole run, came to so far. */
export type AnalysisPhase = "running" | "successful" | "failed" | "inconclusive" | "error";

/** What the measurements of one metric add up to. */
export interface MetricState {
  readonly phase: AnalysisPhase;
  /** All that were not errors. */
  readonly count: number;
  readonly failed: number;
  readonly inconclusive: number;
  readonly consecutiveErrors: number;
  readonly consecutiveSuccesses: number;
  /** The newest one in words; empty: there is none. */
  readonly last: string;
}

/** Metrics of a run, by name. */
export type AnalysisRun = ReadonlyMap<string, MetricState>;

export const untouchedMetric: MetricState = {
  phase: "running",
  count: 0,
  failed: 0,
  inconclusive: 0,
  consecutiveErrors: 0,
  consecutiveSuccesses: 0,
  last: "",
};

/**
 * What one measurement comes to: with no conditions successful; with one for success alone, or one for failure alone, by
 * that one; with both, failed when failure holds, successful when success does, else inconclusive. A condition on a value
 * that was not given is an error.
 */
export function judgeMeasurement(
  { success, failure }: Pick<Metric, "success" | "failure">,
  measured: Measured,
): MeasurementPhase {
  switch (measured.kind) {
    case "nothing":
    case "error":
      return measured.kind;
    case "gap":
      return "inconclusive";
    case "judged":
      return measured.fires ? "failed" : "successful";
    case "values": {
      const of = (condition: Condition): number | undefined => measured.values[condition.of];
      for (const condition of [success, failure]) {
        if (condition !== null && !Number.isFinite(of(condition))) return "error";
      }
      if (failure !== null && holds(failure, of(failure) ?? 0)) return "failed";
      if (success !== null && holds(success, of(success) ?? 0)) return "successful";
      if (success !== null && failure !== null) return "inconclusive";
      return success === null ? "successful" : "failed";
    }
  }
}

/** A metric after one more measurement; one that is done stays as it is. */
export function afterMeasurement(metric: Metric, state: MetricState, measured: Measured): MetricState {
  if (state.phase !== "running") return state;
  const phase = judgeMeasurement(metric, measured);
  const last = measuredText(metric, measured, phase);
  if (phase === "nothing") return { ...state, last };
  const counted = {
    count: state.count + (phase === "error" ? 0 : 1),
    failed: state.failed + (phase === "failed" ? 1 : 0),
    inconclusive: state.inconclusive + (phase === "inconclusive" ? 1 : 0),
    consecutiveErrors: phase === "error" ? state.consecutiveErrors + 1 : 0,
    consecutiveSuccesses: phase === "successful" ? state.consecutiveSuccesses + 1 : 0,
  };
  return { ...counted, last, phase: assessMetric(metric, counted) };
}

/**
 * What a metric came to. Too many failed, inconclusive or erroneous measurements end it, the later of these over the
 * earlier; if none did, enough successful ones in a row, or all that were asked for.
 */
export function assessMetric(metric: Metric, counted: Omit<MetricState, "phase" | "last">): AnalysisPhase {
  let phase: AnalysisPhase = "running";
  if (counted.failed > metric.failureLimit) phase = "failed";
  if (counted.inconclusive > metric.inconclusiveLimit) phase = "inconclusive";
  if (counted.consecutiveErrors > metric.errorLimit) phase = "error";
  if (phase !== "running") return phase;
  if (metric.successLimit !== null && counted.consecutiveSuccesses >= metric.successLimit) return "successful";
  if (metric.count !== null && counted.count >= metric.count)
    return metric.successLimit === null ? "successful" : "inconclusive";
  return "running";
}

/** A run before its first measurement. */
export function beginRun({ metrics }: Analysis): AnalysisRun {
  return new Map(metrics.map(({ name }) => [name, untouchedMetric]));
}

/** What a run came to: the worst of its metrics once one has failed or all are done. */
export function assessRun(run: AnalysisRun): AnalysisPhase {
  const phases = new Set([...run.values()].map(({ phase }) => phase));
  return phaseOrder.find((phase) => phases.has(phase)) ?? "successful";
}

/** What one metric of these decides for all; running, only when none did worse. */
const phaseOrder = ["failed", "error", "inconclusive", "running"] as const;

/** A run that is ended before all is measured: what did not fail until then is successful. */
export function terminateRun(run: AnalysisRun): AnalysisPhase {
  const phase = assessRun(run);
  return phase === "running" ? "successful" : phase;
}

function measuredText(metric: Metric, measured: Measured, phase: MeasurementPhase): string {
  switch (measured.kind) {
    case "nothing":
    case "gap":
    case "error":
      return measured.reason;
    case "judged":
      return measured.finding;
    case "values": {
      const values = Object.entries(measured.values).map(([name, value]) => `${name} ${shown(value)}`);
      const { success, failure } = metric;
      const told = phase === "failed" && success === null ? failure : (success ?? failure);
      const wanted = told === null ? "" : `, ${told === failure ? "failure is" : "wanted"} ${formatCondition(told)}`;
      return `${values.length === 0 ? "no value" : values.join(", ")}${wanted}`;
    }
  }
}

function shown(value: number): string {
  return String(Number(value.toPrecision(6)));
}
