import { sameJson, type Json } from "../../model/canonical.ts";
import { judgeStep, stepSentence, type StepInputs, type StepOutcome } from "./analysis.ts";
import { baselineSentence, judgeBaseline, type BaselineInputs, type BaselineOutcome } from "./baseline.ts";
import { decideErrors, errorSentence, type ErrorInputs } from "./errors.ts";
import { failureSentence, judgeFailure, type FailureInputs, type FailureOutcome } from "./failure.ts";
import { decideStrategy, strategySentence, type StrategyInputs, type StrategyOutcome } from "./strategy.ts";
import { decideWatch, watchSentence, type WatchInputs, type WatchOutcome } from "./watch.ts";
import type { ErrorVerdict } from "../error-rule.ts";

/** A rule by which something is decided: equal inputs, equal outcome; both plain JSON. */
interface Rule<Inputs, Outcome> {
  readonly decide: (inputs: Inputs) => Outcome;
  readonly sentence: (inputs: Inputs, outcome: Outcome) => string;
}

/** Inputs and outcome of every rule. */
interface Rules {
  readonly baseline: readonly [BaselineInputs, BaselineOutcome];
  readonly errors: readonly [ErrorInputs, ErrorVerdict];
  readonly analysis: readonly [StepInputs, StepOutcome];
  readonly failure: readonly [FailureInputs, FailureOutcome];
  readonly strategy: readonly [StrategyInputs, StrategyOutcome];
  readonly watch: readonly [WatchInputs, WatchOutcome];
}

export type RuleName = keyof Rules;

const rules: { readonly [Name in RuleName]: Rule<Rules[Name][0], Rules[Name][1]> } = {
  baseline: { decide: judgeBaseline, sentence: baselineSentence },
  errors: { decide: decideErrors, sentence: errorSentence },
  analysis: { decide: judgeStep, sentence: stepSentence },
  failure: { decide: judgeFailure, sentence: failureSentence },
  strategy: { decide: decideStrategy, sentence: strategySentence },
  watch: { decide: decideWatch, sentence: watchSentence },
};

/** What was decided, as the ledger keeps it. */
export interface Decision<Name extends RuleName = RuleName> {
  readonly rule: Name;
  readonly inputs: Rules[Name][0];
  readonly outcome: Rules[Name][1];
  readonly sentence: string;
}

/** Decides by a rule. */
export function decide<Name extends RuleName>(rule: Name, inputs: Rules[Name][0]): Decision<Name> {
  const outcome = rules[rule].decide(inputs);
  return { rule, inputs, outcome, sentence: rules[rule].sentence(inputs, outcome) };
}

/** A decision as the ledger has it. */
export interface RecordedDecision {
  readonly rule: string;
  readonly inputs: Json;
  readonly outcome: Json;
}

/** What recorded inputs come to now; null: this version has no such rule, or cannot read its inputs. */
export function replay({ rule, inputs }: RecordedDecision): Json {
  if (!Object.hasOwn(rules, rule)) return null;
  try {
    return rules[rule as RuleName].decide(inputs as never) as unknown as Json;
  } catch {
    return null;
  }
}

/** Whether recorded inputs come to the recorded outcome. */
export function isReplayed(decision: RecordedDecision): boolean {
  return sameJson(replay(decision), decision.outcome);
}
