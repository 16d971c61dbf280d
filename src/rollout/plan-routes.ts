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
    const known = view.rules.filter(({ route }) => sameRoute(route, rule.route));
    const [there] = known;
    // One that the router was asked for before may come into effect after all: it is put right then.
    const isRight = there !== undefined && known.every((one) => sameRule(one, rule));
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
  // Whoever has a share ends the wait.
  const sharing = [...(targets.weights ?? [])].filter(([name, weight]) => name !== live.set && weight > 0);
  const serving = [live.set, ...sharing.map(([name]) => name)].reduce(
    (sum, name) => sum + (targets.tallies.get(name)?.serving ?? 0),
    0,
  );
  if (set !== undefined && holdsRequests(record, set, there?.hold === true, serving))
    return { route, stable: live.set, hold: true };
  const canaries = canariesOf(record, live.set, view, targets);
  return { route, stable: live.set, ...(canaries.length === 0 ? {} : { canaries }) };
}

/** What is on its way first: it is the one that a request means which asks for the canary. */
function canariesOf(
  record: EnvironmentRecord,
  live: SetName,
  view: EnvironmentView,
  { weights }: Targets,
): readonly { readonly set: SetName; readonly weight: number }[] {
  if (weights === undefined) return [];
  const next = record.active === null ? undefined : record.releases.get(record.active)?.set;
  const placed = [...weights].filter(([set]) => set !== live && view.placed.has(set));
  // One without a share has its place there for those who ask for it, where that takes no share from another.
  const hasRoom = placed.filter(([, weight]) => weight > 0).length < mostCanaries;
  return placed
    .filter(([set, weight]) => weight > 0 || (set === next && hasRoom))
    .map(([set, weight]) => ({ set, weight }))
    .sort((a, b) => Number(b.set === next) - Number(a.set === next) || (a.set < b.set ? -1 : 1))
    .slice(0, mostCanaries);
}

/** Where what is on its way answers before the switch. */
function previewRule(record: EnvironmentRecord, view: EnvironmentView, { plan }: Targets): RouteRule | undefined {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active === undefined || plan === undefined || active.type !== "deploy") return undefined;
  const { strategy } = active.settings ?? record.settings;
  if (strategy.kind !== "blue-green" || strategy.preview === undefined) return undefined;
  return view.placed.has(active.set) ? { route: strategy.preview, stable: active.set } : undefined;
}
