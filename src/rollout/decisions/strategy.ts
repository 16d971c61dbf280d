import { weightText, type Strategy } from "../../model/strategy.ts";
import { planStrategy } from "../strategies/plan.ts";
import type { NextStep, StrategyInput } from "../strategies/shape.ts";

/** A rollout by its strategy, as numbers. */
export interface StrategyInputs {
  readonly strategy: Strategy;
  readonly input: StrategyInput;
}

export interface StrategyOutcome {
  /** The step that is reached; null: none is. */
  readonly step: NextStep | null;
  /** Whether it goes live. */
  readonly ready: boolean;
}

export function decideStrategy({ strategy, input }: StrategyInputs): StrategyOutcome {
  const { step = null, ready } = planStrategy(strategy, input);
  return { step, ready };
}

export function strategySentence({ strategy, input }: StrategyInputs, { step, ready }: StrategyOutcome): string {
  if (step !== null)
    return `${strategy.kind}: step ${step.step} with ${weightText(step.weight)} of the requests, ${step.reason}`;
  const { available } = input.next;
  return ready
    ? `${strategy.kind}: ${available} of ${input.desired} instances are ready, it goes live`
    : `${strategy.kind}: it is waited for`;
}
