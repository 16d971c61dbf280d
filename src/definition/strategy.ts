import { OperatorError } from "../errors/operator-error.ts";
import { defaultAnalysis, type Analysis } from "../model/analysis.ts";
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
  type StrategyKind,
  mostPercent,
  parseAmount,
  type AmountName,
} from "../model/strategy.ts";
import type { Route } from "../model/content.ts";
import { readAnalysis } from "./analysis.ts";
import { optional } from "./build.ts";
import { keySets } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";

/** How `hold` says that a person resumes. */
const person = "person";

/** Reads `strategy`: a name, or a mapping of one name to what is different from its defaults. */
export function readStrategy(reader: Reader, place: Place): Strategy | undefined {
  if (!reader.isMap(place)) {
    const name = reader.text(place);
    const kind = name === undefined ? undefined : kindOf(reader, place, name);
    return kind === undefined ? undefined : strategyNamed(kind);
  }
  const fields = reader.map(place, keySets.strategy);
  const [first, second] = [...fields];
  if (first === undefined)
    return reader.isEmpty(place)
      ? reader.problem(place, `names none; there are ${strategyKinds.join(", ")}`)
      : undefined;
  if (second !== undefined) return reader.problem(second[1], "an environment has one strategy; take one of them out");
  const [name, field] = first;
  const kind = kindOf(reader, field, name);
  switch (kind) {
    case undefined:
      return undefined;
    case "recreate":
      if (!reader.isNothing(field)) reader.problem(field, "has nothing to set; write `strategy: recreate`");
      return { kind };
    case "rolling":
      return readRolling(reader, field);
    case "blue-green":
      return readBlueGreen(reader, field);
    case "canary":
      return readCanary(reader, field);
  }
}

function kindOf(reader: Reader, place: Place, name: string): StrategyKind | undefined {
  const kind = strategyKinds.find((known) => known === name);
  if (kind !== undefined) return kind;
  const near = nearestName(name, strategyKinds);
  const advice = near === undefined ? `there are ${strategyKinds.join(", ")}` : `did you mean "${near}"?`;
  return reader.problem(place, `unknown strategy "${name}", ${advice}`);
}

function readRolling(reader: Reader, place: Place): Strategy | undefined {
  const fields = reader.map(place, keySets.rolling);
  const maxSurge = optional(fields, "maxSurge", (field) => readAmount(reader, field, "maxSurge")) ?? "25%";
  const maxUnavailable =
    optional(fields, "maxUnavailable", (field) => readAmount(reader, field, "maxUnavailable")) ?? "25%";
  if (isNone(maxSurge) && isNone(maxUnavailable))
    return reader.problem(place, "maxSurge and maxUnavailable are both 0: then no instance could be replaced");
  return { kind: "rolling", maxSurge, maxUnavailable, ...analysisOf(reader, fields, undefined) };
}

function readAmount(reader: Reader, place: Place, of: AmountName): Amount | undefined {
  const text = reader.text(place);
  if (text === undefined) return undefined;
  return (
    parseAmount(text, of) ??
    reader.problem(
      place,
      `must be a number of instances up to ${maxInstances}, or a percentage from 0% to ${mostPercent[of]}%`,
    )
  );
}

function readBlueGreen(reader: Reader, place: Place): Strategy {
  const fields = reader.map(place, keySets.blueGreen);
  const hold = fields.get("hold");
  const preview = optional(fields, "preview", (field) => readPreview(reader, field));
  const holdMs = (hold === undefined ? undefined : readHold(reader, hold)) ?? { ms: 0 };
  const analysis = analysisOf(reader, fields, undefined);
  const strategy: Strategy = {
    kind: "blue-green",
    holdMs: holdMs.ms,
    ...(preview === undefined ? {} : { preview }),
    ...analysis,
  };
  const [counted] = unmeasurable(strategy);
  const measured = fields.get("analysis");
  if (counted !== undefined && measured !== undefined)
    reader.problem(measured, `"${counted.name}" is counted by the router, and ${unmeasurableAdvice}`);
  return strategy;
}

function readHold(reader: Reader, place: Place): { readonly ms: number | null } | undefined {
  if (reader.isText(place, person)) return { ms: null };
  const ms = reader.parsed(place, parseHoldMs);
  return ms === undefined ? undefined : { ms };
}

/** @throws {OperatorError} `ARGUMENT_INVALID`, which says that it may be a person too */
function parseHoldMs(text: string): number {
  try {
    return parseDurationMs(text);
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    const near = nearestName(text, [person]);
    const advice = near === undefined ? `${error.hint}; ${person}: until someone resumes` : `did you mean "${near}"?`;
    throw new OperatorError(error.code, error.message, { hint: advice });
  }
}

/** `HOST[/PATH]`. */
function readPreview(reader: Reader, place: Place): Route | undefined {
  const text = reader.text(place);
  if (text === undefined) return undefined;
  const cut = text.indexOf("/");
  const host = (cut < 0 ? text : text.slice(0, cut)).toLowerCase();
  const path = cut < 0 ? "/" : text.slice(cut);
  const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  const isHost = host.length <= 253 && new RegExp(`^${label}(\\.${label})*$`).test(host);
  const isPath = /^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,200}$/.test(path) && !/\/\/|\/\.\.?(\/|$)/.test(path);
  if (!isHost || !isPath)
    return reader.problem(
      place,
      "must be a host name, with a path if need be, like next.shop.example or shop.example/next",
    );
  return { host, path: path.endsWith("/") ? path : `${path}/` };
}

function readCanary(reader: Reader, place: Place): Strategy | undefined {
  const fields = reader.map(place, keySets.canary);
  const each = optional(fields, "each", (field) => readHold(reader, field)) ?? { ms: defaultStepMs };
  const analysis = analysisOf(reader, fields, defaultAnalysis);
  const list = fields.get("steps");
  if (list === undefined) {
    const named = strategyNamed("canary");
    if (named.kind !== "canary") return named;
    return { kind: "canary", steps: named.steps.map((step) => ({ ...step, holdMs: each.ms })), ...analysis };
  }
  if (!reader.isList(list)) return reader.problem(list, "must be a list, like [5, 25, 50]");
  const items = reader.list(list);
  if (items.length > mostSteps) return reader.problem(list, `has ${items.length} steps, at most ${mostSteps} taken`);
  if (items.length === 0) return reader.problem(list, "needs a step, like [5, 25, 50]");
  const steps: CanaryStep[] = [];
  for (const item of items) {
    const step = readStep(reader, item, each.ms);
    const before = steps.at(-1);
    if (step === undefined) return undefined;
    if (before !== undefined && step.weight <= before.weight)
      return reader.problem(item, "must be more than the step before it: a canary only grows");
    steps.push(step);
  }
  return { kind: "canary", steps, ...analysis };
}

/** What `analysis` says; where it says nothing, what is usual. */
function analysisOf(
  reader: Reader,
  fields: ReadonlyMap<string, Place>,
  usual: Analysis | undefined,
): { readonly analysis?: Analysis } {
  const place = fields.get("analysis");
  const analysis = place === undefined ? usual : readAnalysis(reader, place);
  return analysis === undefined || analysis === null ? {} : { analysis };
}

function readStep(reader: Reader, place: Place, eachMs: number | null): CanaryStep | undefined {
  if (!reader.isMap(place)) {
    const weight = readWeight(reader, place);
    return weight === undefined ? undefined : { weight, holdMs: eachMs, analyse: true };
  }
  const fields = reader.map(place, keySets.canaryStep);
  const weightField = fields.get("weight");
  if (weightField === undefined) return reader.problem(place, "needs weight: 5, a percentage of the requests");
  const weight = readWeight(reader, weightField);
  const hold = optional(fields, "hold", (field) => readHold(reader, field)) ?? { ms: eachMs };
  const analyse = optional(fields, "analyse", (field) => reader.boolean(field)) ?? true;
  return weight === undefined ? undefined : { weight, holdMs: hold.ms, analyse };
}

/** A percentage, `5` or `5%`, with at most two decimals. @returns in 1/10000 */
function readWeight(reader: Reader, place: Place): number | undefined {
  const text = reader.text(place);
  if (text === undefined) return undefined;
  const match = /^([0-9]{1,3}(?:\.[0-9]{1,2})?)%?$/.exec(text);
  const weight = match === null ? Number.NaN : Math.round(Number(match[1]) * 100);
  if (weight >= 1 && weight <= 10_000) return weight;
  return reader.problem(place, "must be a percentage of the requests from 0.01 to 100");
}
