import { OperatorError } from "../errors/operator-error.ts";

/** How a value is held against a number. */
export type Comparison = "<" | "<=" | ">" | ">=" | "==" | "!=";

/**
 * What one value of a measurement has to be: `result`, the number that was asked for, or `status`, an HTTP or exit
 * status.
 */
export type Condition =
  | { readonly of: ValueName; readonly is: Comparison; readonly than: number }
  /** Both ends belong to the range. */
  | { readonly of: ValueName; readonly is: "in"; readonly from: number; readonly to: number };

export type ValueName = "result" | "status";

/** Numbers that the router has of every set: share of 5xx (0 to 1), requests, latency in ms. */
export const routerQuantities = ["errors", "requests", "p50", "p90", "p95", "p99"] as const;
export type RouterQuantity = (typeof routerQuantities)[number];

/** Where the values of a metric come from. */
export type MetricProvider =
  /** The rule over the router's counts: errors of the new content against those of what is live. */
  | { readonly kind: "error-rule"; readonly rule: ErrorRuleSettings }
  /** What the router counted of the new content since the measurement before. */
  | { readonly kind: "router"; readonly quantity: RouterQuantity }
  | { readonly kind: "prometheus"; readonly url: string; readonly query: string }
  /** A URL, or a path that is asked of the new content through the router. */
  | {
      readonly kind: "http";
      readonly url: string;
      /** Where `result` stands in a JSON answer: `a.b[0]`. */ readonly json: string | null;
    }
  | { readonly kind: "command"; readonly command: readonly string[] };

export interface ErrorRuleSettings {
  /** Shares of errors up to this one are nobody's concern, 0 to 1. */
  readonly floor: number;
  /** Shares up to so many times the share of what is live are not the new content's fault. */
  readonly ratio: number;
  /** Fewer requests in a step tell nothing. */
  readonly leastRequests: number;
}

/** One thing that is measured again and again. */
export interface Metric {
  readonly name: string;
  readonly provider: MetricProvider;
  /** Time from the run's begin to the first measurement, in ms. */
  readonly initialDelayMs: number;
  /** Time from one measurement to the next, in ms. */
  readonly intervalMs: number;
  /** Measurements after which it is done; null: it is measured for as long as the step lasts. */
  readonly count: number | null;
  /** Absent conditions say nothing; with neither, a measurement that gives a value is successful. */
  readonly success: Condition | null;
  readonly failure: Condition | null;
  /** More failed measurements than this fail it. */
  readonly failureLimit: number;
  /** More inconclusive ones than this make it inconclusive. */
  readonly inconclusiveLimit: number;
  /** More errors in a row than this end it in error. */
  readonly errorLimit: number;
  /** So many successful ones in a row and it is successful; null: that is not asked for. */
  readonly successLimit: number | null;
}

/** What is measured of a new content under traffic, and what of it ends its rollout. */
export interface Analysis {
  /** At least one, at most ten, with different names. */
  readonly metrics: readonly Metric[];
}

/** How often a step is made longer because nothing could be measured; then a person is asked. */
export const mostExtensions = 2;
/** A step that is held by its analysis alone lasts at least so long, in ms. */
const leastStepMs = 10_000;

/** Whether a metric is made of what the router counts: without requests there is nothing to measure. */
export function isCounted({ provider }: Metric): boolean {
  return provider.kind === "error-rule" || provider.kind === "router";
}

/** Time from a run's begin to a metric's first measurement, in ms: what the router counts has to come together first. */
export function firstMeasurementMs(metric: Metric): number {
  return metric.initialDelayMs + (isCounted(metric) ? metric.intervalMs : 0);
}

/** What a measurement may take without a step being called too short for it, in ms. */
const measurementMs = 1_000;

/** How long a step takes in which a release is analysed, in ms: as long as it is held, and until all is measured. */
export function analysedStepMs({ metrics }: Analysis, holdMs: number): number {
  const measured = metrics.map(
    (metric) => firstMeasurementMs(metric) + ((metric.count ?? 1) - 1) * metric.intervalMs + measurementMs,
  );
  return Math.max(holdMs, leastStepMs, ...measured);
}

export const mostMetrics = 10;
export const mostMeasurements = 10_000;
/** Shortest time between two measurements, in ms. */
export const leastIntervalMs = 1_000;

export const defaultErrorRule: ErrorRuleSettings = { floor: 0.01, ratio: 1.5, leastRequests: 20 };

/** What holds for a metric that says nothing else. */
export const defaultMetric: Omit<Metric, "name" | "provider"> = {
  initialDelayMs: 0,
  intervalMs: 10_000,
  count: null,
  success: null,
  failure: null,
  failureLimit: 0,
  inconclusiveLimit: 0,
  errorLimit: 4,
  successLimit: null,
};

/** The rule over the router's counts, each second; a few lost lines of its log do not stop a rollout. */
export const defaultErrorMetric: Metric = {
  ...defaultMetric,
  name: "errors",
  provider: { kind: "error-rule", rule: defaultErrorRule },
  intervalMs: 1_000,
  inconclusiveLimit: 5,
};

/** What is measured where nobody says what: of a canary always, else with `analysis: default`. */
export const defaultAnalysis: Analysis = { metrics: [defaultErrorMetric] };

/** Words that stand for something in URLs, queries and commands: all of them letters, digits and dashes when it is there. */
export const substitutedWords = ["release", "set", "live", "app", "environment"] as const;
export type Substitutes = Readonly<Record<(typeof substitutedWords)[number], string>>;

/** A `$word` of a text that stands for nothing; undefined: there is none. */
export function unknownWord(text: string): string | undefined {
  for (const [, word] of text.matchAll(/\$([A-Za-z_]+)/g))
    if (!(substitutedWords as readonly string[]).includes(word ?? "")) return word;
  return undefined;
}

/** A text with its `$words` replaced; each is one that is known. */
export function substitute(text: string, words: Substitutes): string {
  return text.replaceAll(/\$([A-Za-z_]+)/g, (written, word: string) =>
    Object.hasOwn(words, word) ? words[word as keyof Substitutes] : written,
  );
}

const number = String.raw`-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?(?:e-?[0-9]{1,2})?`;
const comparison = new RegExp(`^([a-z][a-z0-9]*) *(<=|>=|==|!=|<|>) *(${number})(%?)$`);
const range = new RegExp(`^([a-z][a-z0-9]*) +in +(${number})(%?) *\\.\\. *(${number})(%?)$`);

/**
 * Reads `result < 0.05`, `status == 200`, `result in 1..10`; `5%` is 0.05. One value, one comparison: nothing is
 * evaluated.
 *
 * @param alias another name of `result`, as `p99`
 * @throws {OperatorError} `ARGUMENT_INVALID`
 */
export function parseCondition(text: string, alias?: string): Condition {
  const [, name = "", is = "", than = "", percent = ""] = comparison.exec(text.trim()) ?? [];
  const [, rangeName = "", from = "", fromPercent = "", to = "", toPercent = ""] = range.exec(text.trim()) ?? [];
  const written = name === "" ? rangeName : name;
  const of = written === alias ? "result" : written;
  if (of !== "result" && of !== "status") {
    const names = alias === undefined ? "result or status" : `result or ${alias}`;
    const state = of === "" ? "it is no comparison" : `"${of}" is not measured`;
    throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a condition: ${state}`, {
      hint: `compare ${names} with a number (result < 0.05, result >= 99%) or a range (result in 1..10)`,
    });
  }
  if (name !== "") return { of, is: is as Comparison, than: amount(than, percent) };
  const condition: Condition = { of, is: "in", from: amount(from, fromPercent), to: amount(to, toPercent) };
  if (condition.from <= condition.to) return condition;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a condition: nothing is in it`, {
    hint: "write the smaller number first",
  });
}

/** A percentage is what is written, divided: 5% is 0.05 and not 0.05000000000000001. */
function amount(text: string, percent: string): number {
  return percent === "" ? Number(text) : Number((Number(text) / 100).toPrecision(15));
}

/** In words, why a condition says nothing of what the router measures; undefined: it does. */
export function problemOfCondition(quantity: RouterQuantity, condition: Condition): string | undefined {
  if (condition.of === "status") return `the router has no status to compare; write ${quantity} or result`;
  const bounds = condition.is === "in" ? [condition.from, condition.to] : [condition.than];
  if (bounds.some((bound) => bound < 0)) return `${quantity} is never less than 0`;
  return quantity === "errors" && bounds.some((bound) => bound > 1)
    ? "errors is a share of the requests, from 0 to 1; 5% is 0.05"
    : undefined;
}

export function formatCondition(condition: Condition): string {
  return condition.is === "in"
    ? `${condition.of} in ${condition.from}..${condition.to}`
    : `${condition.of} ${condition.is} ${condition.than}`;
}

/** Whether a condition holds of a value. */
export function holds(condition: Condition, value: number): boolean {
  switch (condition.is) {
    case "<":
      return value < condition.than;
    case "<=":
      return value <= condition.than;
    case ">":
      return value > condition.than;
    case ">=":
      return value >= condition.than;
    case "==":
      return value === condition.than;
    case "!=":
      return value !== condition.than;
    case "in":
      return value >= condition.from && value <= condition.to;
  }
}
