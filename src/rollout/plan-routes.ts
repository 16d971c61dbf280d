import type { EnvironmentRecord } from "../ledger/state.ts";
import type { RouteRule } from "../model/observation.ts";
import { mostCanaries, sameRoute, sameRule } from "../model/route-rule.ts";
import type { SetName } from "../model/names.ts";
import type { Step } from "./step.ts";
import type { Targets } from "./targets.ts";
import type { EnvironmentView } from "./view.ts";
import { holdsRequests } from "./volumes.ts";

/**
 * Puts right what answers the environment's routes: by the weights of the rollout under way, after a restart, for a changed
 * route, at `down`. While a switch is under way that alone decides. One step at a time.
 */
export function planRoutes(record: EnvironmentRecord, view: EnvironmentView, targets: Targets): readonly Step[] {
  if (record.switching !== null) return [];
  const wanted = [mainRule(record, view, targets), previewRule(record, view, targets)].filter(
    (rule) => rule !== undefined,
  );
  for (const rule of wanted) {
    const there = view.rules.find(({ route }) => sameRoute(route, rule.route));
    // One that the router was asked for before may come into effect after all: it is put right then.
    const isRight =
      there !== undefined && view.rules.every((one) => !sameRoute(one.route, rule.route) || sameRule(one, rule));
    // What is live keeps its rule without an instance; nothing is given one before it has a place.
    if (!isRight && (there?.stable === rule.stable || view.placed.has(rule.stable)))
      return [{ kind: "route", route: rule.route, rule }];
  }
  const own = record.live === null ? null : record.settings.route;
  const left = view.rules.find(
    ({ route }) => !sameRoute(route, own) && !wanted.some((rule) => sameRoute(route, rule.route)),
  );
  return left === undefined ? [] : [{ kind: "route", route: left.route, rule: null }];
}

function mainRule(record: EnvironmentRecord, view: EnvironmentView, targets: Targets): RouteRule | undefined {
  const { live, settings } = record;
  if (live === null || settings.route === null) return undefined;
  const { route } = settings;
  const there = view.rules.find((rule) => sameRoute(rule.route, route));
  const set = record.sets.get(live.set);
  const waiting = there?.hold === true ? { serving: servingBy(targets, live.set) } : undefined;
  if (set !== undefined && holdsRequests(record, set, waiting)) return { route, stable: live.set, hold: true };
  const canaries = canariesOf(record, live.set, view, targets);
  return canaries.length === 0 ? { route, stable: live.set } : { route, stable: live.set, canaries };
}

/** How many instances stay, may answer and have their place: of what is live, and of whoever has a share. */
function servingBy({ tallies, weights = noWeights }: Targets, live: SetName): number {
  let sum = tallies.get(live)?.serving ?? 0;
  for (const [name, weight] of weights) if (name !== live && weight > 0) sum += tallies.get(name)?.serving ?? 0;
  return sum;
}

const noWeights: ReadonlyMap<SetName, number> = new Map();

/** What is on its way first: it is the one that a request means which asks for the canary. */
function canariesOf(
  record: EnvironmentRecord,
  live: SetName,
  view: EnvironmentView,
  { weights }: Targets,
): readonly { readonly set: SetName; readonly weight: number }[] {
  if (weights === undefined) return noCanaries;
  const next = record.active === null ? undefined : record.releases.get(record.active)?.set;
  const canaries: { readonly set: SetName; readonly weight: number }[] = [];
  for (const [set, weight] of weights)
    if (weight > 0 && set !== live && view.placed.has(set)) canaries.push({ set, weight });
  // One without a share has its place there for those who ask for it, where that takes no share from another.
  const hasRoom = canaries.length < mostCanaries;
  if (next !== undefined && next !== live && hasRoom && weights.get(next) === 0 && view.placed.has(next))
    canaries.push({ set: next, weight: 0 });
  if (canaries.length < 2) return canaries;
  return canaries
    .sort((a, b) => Number(b.set === next) - Number(a.set === next) || (a.set < b.set ? -1 : 1))
    .slice(0, mostCanaries);
}

const noCanaries: readonly { readonly set: SetName; readonly weight: number }[] = [];

/** Where what is on its way answers before the switch. */
function previewRule(record: EnvironmentRecord, view: EnvironmentView, { plan }: Targets): RouteRule | undefined {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active === undefined || plan === undefined || active.type !== "deploy") return undefined;
  const { strategy } = active.settings ?? record.settings;
  if (strategy.kind !== "blue-green" || strategy.preview === undefined) return undefined;
  return view.placed.has(active.set) ? { route: strategy.preview, stable: active.set } : undefined;
}
