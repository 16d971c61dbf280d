import { OperatorError } from "../errors/operator-error.ts";
import { nearestName } from "../model/nearest.ts";
import { maxInstances } from "../model/processes.ts";
import { parseDurationMs } from "../model/quantities.ts";
import {
  defaultStepMs,
  isNone,
  mostSteps,
  strategyKinds,
  strategyNamed,
  unmeasurable,
  unmeasurableAdvice,
  type Amount,
  type CanaryStep,
  type Strategy,
  mostPercent,
  parseAmount,
  type AmountName,
} from "../model/strategy.ts";

/** How a hold says that a person resumes. */
const person = "person";

export const strategyHelp =
  "recreate, rolling[:SURGE/UNAVAILABLE], blue-green[:HOLD] or canary[:PERCENT[@HOLD],…]; a HOLD is 90s, 10m or person";

/**
 * The strategy that `--strategy` asks for: `rolling:1/0`, `blue-green:10m`, `canary:5,25@10m,50@person`. What is not said
 * is as the definition has it, where that has the same strategy, else as the strategy's name alone means.
 *
 * @throws {OperatorError} `USAGE`
 */
export function parseStrategy(text: string, defined: Strategy): Strategy {
  const colon = text.indexOf(":");
  const name = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? undefined : text.slice(colon + 1);
  const kind = strategyKinds.find((known) => known === name);
  if (kind === undefined) {
    const near = nearestName(name, strategyKinds);
    throw refused(text, near === undefined ? "there is no such strategy" : `did you mean "${near}"?`);
  }
  const base = defined.kind === kind ? defined : strategyNamed(kind);
  if (rest === undefined) return base;
  switch (base.kind) {
    case "recreate":
      throw refused(text, "recreate has nothing to set");
    case "rolling":
      return { ...base, ...readAmounts(text, rest) };
    case "blue-green": {
      const strategy: Strategy = { ...base, holdMs: readHold(text, rest) };
      const [counted] = unmeasurable(strategy);
      if (counted === undefined) return strategy;
      throw refused(text, `its analysis has "${counted.name}", which the router counts, and ${unmeasurableAdvice}`);
    }
    case "canary":
      return { ...base, steps: readSteps(text, rest, defined.kind === kind ? base.steps : []) };
  }
}

function readAmounts(text: string, rest: string): { readonly maxSurge: Amount; readonly maxUnavailable: Amount } {
  const [surge, unavailable, more] = rest.split("/");
  if (surge === undefined || unavailable === undefined || more !== undefined)
    throw refused(text, "two amounts needed, like rolling:1/0 or rolling:25%/25%");
  const maxSurge = readAmount(text, surge, "maxSurge");
  const maxUnavailable = readAmount(text, unavailable, "maxUnavailable");
  if (isNone(maxSurge) && isNone(maxUnavailable)) throw refused(text, "with 0 and 0 no instance could be replaced");
  return { maxSurge, maxUnavailable };
}

function readAmount(text: string, part: string, of: AmountName): Amount {
  const amount = parseAmount(part, of);
  if (amount !== undefined) return amount;
  throw refused(
    text,
    `"${part}" is neither a number of instances up to ${maxInstances} nor a percentage from 0% to ${mostPercent[of]}%`,
  );
}

/** @param defined steps of the definition; one without a hold is held as the last of them that is no larger, else the first */
function readSteps(text: string, rest: string, defined: readonly CanaryStep[]): readonly CanaryStep[] {
  let before = 0;
  const parts = rest.split(",");
  if (parts.length > mostSteps) throw refused(text, `it has ${parts.length} steps, at most ${mostSteps} taken`);
  return parts.map((part) => {
    const [percent = "", hold, more] = part.split("@");
    const weight = /^[0-9]{1,3}(\.[0-9]{1,2})?%?$/.test(percent) ? Math.round(Number.parseFloat(percent) * 100) : 0;
    if (more !== undefined || weight < 1 || weight > 10_000)
      throw refused(text, `"${part}" is no step: a percentage from 0.01 to 100, and @HOLD if need be`);
    if (weight <= before) throw refused(text, `${percent} is not more than the step before it`);
    before = weight;
    const like = defined.findLast((step) => step.weight <= weight) ?? defined[0];
    const { holdMs, analyse } = like ?? { holdMs: defaultStepMs, analyse: true };
    return { weight, holdMs: hold === undefined ? holdMs : readHold(text, hold), analyse };
  });
}

function readHold(text: string, hold: string): number | null {
  if (hold === person) return null;
  try {
    return parseDurationMs(hold);
  } catch {
    throw refused(text, `"${hold}" is neither a duration like 10m nor ${person}`);
  }
}

function refused(text: string, why: string): OperatorError {
  return new OperatorError("USAGE", `Cannot use --strategy ${text.slice(0, 200)}: ${why}`, { hint: strategyHelp });
}
