import { analysedStepMs, defaultAnalysis, isCounted, mostExtensions, type Analysis, type Metric } from "./analysis.ts";
import type { Route } from "./content.ts";
import { maxInstances } from "./processes.ts";

/** A number of instances, or a share of those that are wanted. */
export type Amount = number | `${number}%`;

export function isNone(amount: Amount): boolean {
  return amount === 0 || amount === "0%";
}

/** How many percent each may have. A Deployment's `maxSurge` has no bound: ten times what is wanted is more than any rollout takes. */
export const mostPercent = { maxSurge: 1_000, maxUnavailable: 100 } as const;
export type AmountName = keyof typeof mostPercent;

/** A number of instances, or a percentage in text; undefined: it is neither, or too much. */
export function parseAmount(text: string, of: AmountName): Amount | undefined {
  const [, number = "", percent] = /^(0|[1-9][0-9]{0,4})(%)?$/.exec(text) ?? [];
  if (number === "" || Number(number) > (percent === undefined ? maxInstances : mostPercent[of])) return undefined;
  return percent === undefined ? Number(number) : (text as Amount);
}

/** How the next content takes over from what is live. First deploys and rollbacks do without. */
export type Strategy =
  /** Requests wait, what is live ends, then what comes starts. */
  | { readonly kind: "recreate" }
  /** A few instances at a time: each has requests as soon as it is ready, and an old one ends for it. */
  | {
      readonly kind: "rolling";
      readonly maxSurge: Amount;
      readonly maxUnavailable: Amount;
      /** Measured from its first ready instance to its last; absent: nothing is. */
      readonly analysis?: Analysis;
    }
  /** All at once, when all are ready. */
  | {
      readonly kind: "blue-green";
      /** Between ready and the switch, in ms; 0: none; null: until a person resumes. */
      readonly holdMs: number | null;
      /** Where the next content answers before the switch; absent: nowhere but by header and cookie. */
      readonly preview?: Route;
      /** Measured between ready and the switch; absent: nothing is. */
      readonly analysis?: Analysis;
    }
  /** A growing share of the requests; the instances that answered them serve on. */
  | {
      readonly kind: "canary";
      readonly steps: readonly CanaryStep[];
      /** Measured at each step that says so; absent: nothing is. */
      readonly analysis?: Analysis;
    };

/** One step of a canary. */
export interface CanaryStep {
  /** Share of the requests, in 1/10000. */
  readonly weight: number;
  /** In ms; null: until a person resumes. */
  readonly holdMs: number | null;
  /** Whether what it answers is judged before it goes on. */
  readonly analyse: boolean;
}

export type StrategyKind = Strategy["kind"];
export const strategyKinds: readonly StrategyKind[] = ["recreate", "rolling", "blue-green", "canary"];

/** All requests, in 1/10000. */
export const wholeWeight = 10_000;
/** Most steps of a canary. */
export const mostSteps = 100;
/** Longest time that a rollout stands still for a person; then it is ended. In ms. */
export const longestPauseMs = 86_400_000;

/** Without another word: all at once. */
export const plainStrategy: Strategy = { kind: "blue-green", holdMs: 0 };

/** A quarter of the instances at a time. */
export const defaultRolling = { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%" } as const satisfies Strategy;

const defaultSteps = [500, 2_500, 5_000];
/** How long a step of a canary is held where nothing is said, in ms. */
export const defaultStepMs = 120_000;

/** What a strategy is that is asked for by its name alone. */
export function strategyNamed(kind: StrategyKind): Strategy {
  switch (kind) {
    case "recreate":
      return { kind };
    case "rolling":
      return defaultRolling;
    case "blue-green":
      return plainStrategy;
    case "canary":
      return {
        kind,
        steps: defaultSteps.map((weight) => ({ weight, holdMs: defaultStepMs, analyse: true })),
        analysis: defaultAnalysis,
      };
  }
}

/**
 * Time that a rollout may stand still by itself, in ms: as long as it is held, and as its analysis may take. What a person is
 * waited for is not in it.
 */
export function plannedHoldMs(strategy: Strategy): number {
  if (strategy.kind === "blue-green") return longestStepMs(strategy.holdMs, strategy.analysis);
  if (strategy.kind !== "canary") return 0;
  const { steps, analysis } = strategy;
  return steps.reduce((sum, { holdMs, analyse }) => sum + longestStepMs(holdMs, analyse ? analysis : undefined), 0);
}

function longestStepMs(holdMs: number | null, analysis: Analysis | undefined): number {
  if (holdMs === null) return 0;
  return analysis === undefined ? holdMs : analysedStepMs(analysis, holdMs) * (1 + mostExtensions);
}

/**
 * Metrics of a strategy that could never be measured: before its switch a blue-green release has requests of those alone
 * who ask for it, and where nobody is given the time or an address to do so there are none.
 */
export function unmeasurable(strategy: Strategy): readonly Metric[] {
  if (strategy.kind !== "blue-green" || strategy.holdMs !== 0 || strategy.preview !== undefined) return [];
  return strategy.analysis?.metrics.filter(isCounted) ?? [];
}

/** What to do about `unmeasurable`, in words. */
export const unmeasurableAdvice =
  "nobody asks for a blue-green release before its switch; give it preview: HOST or a hold:, or measure by http:, command: or prometheus:";

/** `5 %`, `12.5 %`: a share of 1/10000. */
export function weightText(weight: number): string {
  return `${weight / 100} %`;
}

/** What ledgers and clients of earlier versions say, as it is now. */
export type WrittenStrategy = Strategy | "blue-green";

export function readWrittenStrategy(written: WrittenStrategy): Strategy {
  return written === "blue-green" ? plainStrategy : written;
}
