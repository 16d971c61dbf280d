import type { Route } from "./content.ts";
import type { SetName } from "./names.ts";
import type { RouteRule } from "./observation.ts";
import { wholeWeight } from "./strategy.ts";

/** A rolling rollout that is superseded, twice in a row, has as many sets beside the stable one. */
export const mostCanaries = 3;
/** A request with this header or, without it, this cookie goes to the side it names: `stable`, `canary`, or `vN`. */
export const releaseHeader = "x-bronze-release";
export const releaseCookie = "bronze-release";

/** The sets that a rule leads to, the stable one first; also those with weight 0, which a request may name. */
export function setsOfRule({ stable, canaries = [] }: RouteRule): readonly SetName[] {
  return [stable, ...canaries.map(({ set }) => set)];
}

/** Whether two are the same route; null: none. */
export function sameRoute(a: Route | null, b: Route | null): boolean {
  return a === b || (a !== null && b !== null && a.host === b.host && a.path === b.path);
}

/** Whether a request may come to a set by a rule. */
export function leadsTo(rule: RouteRule, set: SetName): boolean {
  return rule.stable === set || rule.canaries?.some((canary) => canary.set === set) === true;
}

/** Whether two rules of one route send requests to the same sets in the same shares. */
export function sameRule(a: RouteRule, b: RouteRule): boolean {
  const [left, right] = [a.canaries ?? [], b.canaries ?? []];
  return (
    a.stable === b.stable &&
    (a.hold === true) === (b.hold === true) &&
    left.length === right.length &&
    left.every(({ set, weight }, index) => set === right[index]?.set && weight === right[index].weight)
  );
}

/** The shares of all sets of a rule, the stable one's first; their sum is 10,000. */
export function weightsOf({
  stable,
  canaries = [],
}: RouteRule): readonly { readonly set: SetName; readonly weight: number }[] {
  const others = canaries.reduce((sum, { weight }) => sum + weight, 0);
  return [{ set: stable, weight: wholeWeight - others }, ...canaries];
}

/**
 * What makes a rule impossible, in words; undefined: nothing. Weights are whole parts of 10,000, and together at most
 * that; a set stands in a rule once.
 */
export function problemOfRule(rule: RouteRule): string | undefined {
  const { canaries = [] } = rule;
  if (canaries.length > mostCanaries) return `${canaries.length} sets beside the stable one, at most ${mostCanaries}`;
  const wrong = canaries.find(({ weight }) => !Number.isInteger(weight) || weight < 0 || weight > wholeWeight);
  if (wrong !== undefined)
    return `weight ${wrong.weight} of ${wrong.set}, a whole number from 0 to ${wholeWeight} needed`;
  const sum = canaries.reduce((total, { weight }) => total + weight, 0);
  if (sum > wholeWeight) return `weights that sum to ${sum}, at most ${wholeWeight}`;
  const sets = setsOfRule(rule);
  return new Set(sets).size < sets.length ? "a set that stands in it twice" : undefined;
}

/**
 * The set that a request asks for by name, whatever the weights. The header counts before the cookie; a value that names
 * no set of the rule is as none.
 *
 * @param headers by lower-case name
 */
export function setAskedFor(rule: RouteRule, headers: Readonly<Record<string, string>>): SetName | undefined {
  const wish = (headers[releaseHeader] || cookieOf(headers["cookie"]))?.toLowerCase();
  if (wish === undefined || wish === "") return undefined;
  if (wish === "stable") return rule.stable;
  if (wish === "canary") return rule.canaries?.[0]?.set;
  return setsOfRule(rule).find((set) => set.slice(set.lastIndexOf("-") + 1) === wish);
}

function cookieOf(header: string | undefined): string | undefined {
  const pair = header?.split(/; */).find((one) => one.startsWith(`${releaseCookie}=`));
  return pair?.slice(releaseCookie.length + 1);
}
