import { isRouted, settingsFor, type EnvironmentRecord, type ReleaseRecord, type SetRecord } from "../ledger/state.ts";
import type { EnvironmentSettings } from "../model/content.ts";
import type { SetName } from "../model/names.ts";
import { mostCanaries } from "../model/route-rule.ts";
import { defaultRolling, plainStrategy, type Strategy } from "../model/strategy.ts";
import type { StrategyInputs } from "./decisions/strategy.ts";
import { planAnalysis, type AnalysisPlan } from "./plan-analysis.ts";
import { newSetCount, oldSetCounts, resolveFenceposts } from "./strategies/rolling.ts";
import { planStrategy } from "./strategies/plan.ts";
import { shareByInstances, type StrategyInput, type StrategyPlan, type StrategySet } from "./strategies/shape.ts";
import { planChecks } from "./tasks.ts";
import { noTally, setView, tallyOf, type EnvironmentView, type Tally } from "./view.ts";
import { handoverOf } from "./volumes.ts";

/** What the sets of an environment are to have now. */
export interface Targets {
  /** Numbers of what there is, of each set that does not end. */
  readonly tallies: ReadonlyMap<SetName, Tally>;
  /** How many `web` instances a set is to have, where it is not as many as the settings say. */
  readonly counts: ReadonlyMap<SetName, number>;
  /** Share of the requests of each set that serves, in 1/10000; undefined: what is live has them all. */
  readonly weights?: ReadonlyMap<SetName, number> | undefined;
  /** What the strategy of the rollout under way wants; undefined: there is none. */
  readonly plan?: StrategyPlan;
  /** What that was decided from. */
  readonly basis?: StrategyInputs;
  /** What the analysis of the rollout under way comes to. */
  readonly analysis: AnalysisPlan;
  /** Whether as many instances can be counted on as some sets at a time are to leave; undefined: they do not. */
  readonly hasLeast?: boolean | undefined;
}

/** What a rollout is to be, as far as it decides how it is carried out. */
export interface RolloutShape {
  readonly type: ReleaseRecord["type"];
  readonly set: SetName;
  /** Settings that come with it. */
  readonly settings: EnvironmentSettings | null;
  /** It goes live at once. */
  readonly urgent?: boolean;
}

/** A strategy, and why it is another one than was asked for. */
export interface ChosenStrategy {
  readonly strategy: Strategy;
  /** In words; absent: it is what was asked for. */
  readonly because?: string;
}

/**
 * How a rollout is carried out. What comes first and what goes back go live at once; what has to have a volume alone, when
 * what is live has ended; and without a route on both sides there are no requests to share out.
 */
export function strategyOf(record: EnvironmentRecord, release: RolloutShape): ChosenStrategy {
  const wanted = release.settings ?? record.settings;
  const { strategy } = wanted;
  if (release.type === "rollback") return { strategy: plainStrategy, because: "it goes back" };
  if (release.urgent === true) return { strategy: plainStrategy, because: "a secret that is live has ended" };
  if (record.live === null) return { strategy: plainStrategy, because: "nothing is live" };
  if (record.live.set === release.set) return { strategy: plainStrategy, because: "its instances are live" };
  const live = record.sets.get(record.live.set);
  const next = record.sets.get(release.set);
  if (live !== undefined && next?.role === "next" && handoverOf(live, next, strategy).size > 0)
    return strategy.kind === "recreate"
      ? { strategy }
      : { strategy: { kind: "recreate" }, because: "it gets a volume that only one may have" };
  const routes = [record.settings.route, wanted.route];
  if (strategy.kind === "canary" && routes.includes(null))
    return { strategy: plainStrategy, because: "without a route there are no requests to share out" };
  if (strategy.kind === "rolling" && routes.includes(null) && !routes.every((route) => route === null))
    return { strategy: plainStrategy, because: "it has a route on one side only" };
  return { strategy };
}

/** Whether a strategy does more than to switch when all are ready. */
export function hasSteps(strategy: Strategy): boolean {
  if (strategy.kind !== "blue-green") return strategy.kind !== "recreate";
  return strategy.holdMs !== 0 || strategy.analysis !== undefined;
}

/** What the sets of an environment are to have now: by the strategy of what is on its way, and by what one left behind. */
export function planTargets(record: EnvironmentRecord, view: EnvironmentView, nowMs: number): Targets {
  const tallies = new Map<SetName, Tally>();
  let leaving: readonly SetRecord[] = noSets;
  for (const set of record.sets.values()) {
    if (set.role === "ending") continue;
    if (set.role === "leaving") leaving = [...leaving, set];
    const placed = view.placed.get(set.name);
    const reached = { placed, drained: view.drained, routed: isRouted(record, set.name) };
    tallies.set(set.name, tallyOf(set, setView(view, set.name), reached, nowMs));
  }
  if (leaving.length > 1) leaving = leaving.toSorted((a, b) => a.release - b.release);
  const live = record.live === null ? undefined : record.sets.get(record.live.set);
  const active = record.active === null ? undefined : record.releases.get(record.active);
  const next = active === undefined ? undefined : record.sets.get(active.set);
  const analysis = planAnalysis(record, view.analysis, nowMs);
  if (live === undefined) return { tallies, analysis, counts: noCounts };
  const strategy = active === undefined ? undefined : strategyOf(record, active).strategy;
  const isRolling = strategy?.kind === "rolling";
  const recovers = leaving.length > 0 && (!isRolling || leaving.length >= mostCanaries);
  const waiting =
    isRolling && next !== undefined ? boundsOf(strategy, settingsFor(record, next.name).instances) : undefined;
  const back = recovers ? recovery(record, live, leaving, tallies, waiting) : undefined;
  if (active === undefined || strategy === undefined || next === undefined || next === live || (isRolling && recovers))
    return back === undefined ? { tallies, analysis, counts: noCounts } : { tallies, analysis, ...back };
  const sides: Sides = { active, strategy, next, live, leaving, back };
  const { input, hasLeast } = inputOf(record, sides, { tallies, view, passed: analysis.passed, nowMs });
  // The router has no room for one more share: the first step waits until less of what ended rollouts left serves.
  const isCrowded = strategy.kind === "canary" && active.progress.step === 0 && leaving.length >= mostCanaries;
  const plan = isCrowded ? withoutStep(planStrategy(strategy, input)) : planStrategy(strategy, input);
  // What stands by is there whole already.
  const whole: readonly (readonly [SetName, number])[] = next.role === "warm" ? [[next.name, input.desired]] : [];
  const counts =
    back === undefined && whole.length === 0
      ? plan.counts
      : new Map([...(back?.counts ?? noCounts), ...plan.counts, ...whole]);
  // What goes live at once is not made known to the router before: that takes time, and nobody asks for it.
  const weights = hasSteps(strategy) ? plan.weights : back?.weights;
  return { tallies, analysis, counts, plan, basis: { strategy, input }, weights, hasLeast };
}

const noSets: readonly SetRecord[] = [];
const noCounts: ReadonlyMap<SetName, number> = new Map();

function withoutStep({ counts, weights, ready }: StrategyPlan): StrategyPlan {
  return { counts, weights, ready };
}

/** How many instances all sets together may have, and how many of them can be counted on at least. */
interface Bounds {
  readonly most: number;
  readonly least: number;
}

function boundsOf({ maxSurge, maxUnavailable }: Extract<Strategy, { kind: "rolling" }>, desired: number): Bounds {
  const { surge, unavailable } = resolveFenceposts(maxSurge, maxUnavailable, desired);
  return { most: desired + surge, least: desired - unavailable };
}

function isEnough({ least }: Bounds, sets: readonly StrategySet[]): boolean {
  return sets.reduce((sum, { available }) => sum + available, 0) >= least;
}

type Recovery = Required<Pick<Targets, "counts" | "weights" | "hasLeast">>;

interface Sides {
  readonly active: ReleaseRecord;
  readonly strategy: Strategy;
  readonly next: SetRecord;
  readonly live: SetRecord;
  readonly leaving: readonly SetRecord[];
  /** What goes on beside the rollout, where anything does. */
  readonly back: Recovery | undefined;
}

interface Seen {
  readonly tallies: ReadonlyMap<SetName, Tally>;
  readonly view: EnvironmentView;
  readonly passed: boolean;
  readonly nowMs: number;
}

function inputOf(
  record: EnvironmentRecord,
  { active, strategy, next, live, leaving, back }: Sides,
  { tallies, view, passed, nowMs }: Seen,
): Pick<Targets, "hasLeast"> & { readonly input: StrategyInput } {
  const desired = settingsFor(record, next.name).instances;
  const numbers = (set: SetRecord, count: number): StrategySet => {
    const { answering, available } = tallies.get(set.name) ?? noTally;
    return { set: set.name, count, serving: answering, available: Math.min(count, available) };
  };
  const aliveOf = (set: SetRecord): number => tallies.get(set.name)?.alive ?? 0;
  // Until this rollout says otherwise sets have what they have: numbers that one before it left are out of date.
  const isNew = active.progress.instances === null;
  const isWholeNow = live.count === null && leaving.length === 0;
  const liveCount = isNew && !isWholeNow ? aliveOf(live) : (live.count ?? record.settings.instances);
  const own = numbers(next, isNew ? aliveOf(next) : (next.count ?? 0));
  // Of what has not passed its checks nothing can be counted on yet.
  const isChecked = planChecks(record, active, () => [], view) === undefined;
  const coming = isChecked ? own : { ...own, serving: 0, available: 0 };
  const ownLive = numbers(live, liveCount);
  const left = leaving.map((set) => numbers(set, isNew ? aliveOf(set) : (set.count ?? aliveOf(set))));
  const hasLeast =
    strategy.kind === "rolling" ? isEnough(boundsOf(strategy, desired), [ownLive, ...left, coming]) : back?.hasLeast;
  // What is to be replaced answers beyond its set's number only while it is needed; then what is to leave does, too.
  const isExact = !isNew && hasLeast !== false;
  const within = (one: StrategySet): StrategySet => {
    if (isExact) return one.serving > one.count ? { ...one, serving: one.count } : one;
    return hasLeast === false ? needed(one, tallies) : one;
  };
  const input: StrategyInput = {
    desired,
    next: isChecked ? within(own) : coming,
    live: within(ownLive),
    leaving: left.map((one) => (back === undefined ? within(one) : shareOf(within(one), back))),
    progress: active.progress,
    nowMs,
    passed,
  };
  return { input, hasLeast };
}

/**
 * What is live grows whole again, and what a rolling rollout that was ended left behind shrinks for it: as when it had been
 * rolled out.
 *
 * @param waiting what the rollout promises that waits for this; undefined: none does
 */
function recovery(
  { settings }: EnvironmentRecord,
  live: SetRecord,
  leaving: readonly SetRecord[],
  tallies: ReadonlyMap<SetName, Tally>,
  waiting: Bounds | undefined,
): Recovery {
  const numbers = ({ name }: SetRecord): StrategySet => {
    const { alive = 0, answering = 0, available = 0 } = tallies.get(name) ?? {};
    return { set: name, count: alive, serving: answering, available };
  };
  const desired = settings.instances;
  const bounds = boundsOf(settings.strategy.kind === "rolling" ? settings.strategy : defaultRolling, desired);
  // No fewer than the rollout promises that waits for it; where that leaves no room to take any away, it leaves some to add.
  const least = Math.max(bounds.least, Math.min(desired, waiting?.least ?? 0));
  const most = Math.max(bounds.most, waiting?.most ?? 0);
  const [own, old] = [numbers(live), leaving.map(numbers)];
  const total = [own, ...old].reduce((sum, { count }) => sum + count, 0);
  const counts = new Map<SetName, number>([[live.name, newSetCount(desired, most - desired, own.count, total)]]);
  for (const { set, count } of oldSetCounts(desired, desired - least, own, old)) counts.set(set, count);
  const leftOf = (one: StrategySet): StrategySet => ({
    ...one,
    available: Math.min(one.available, counts.get(one.set) ?? one.count),
  });
  const all = [own, ...old];
  const hasLeast = isEnough({ most, least }, all.map(leftOf));
  const shares = hasLeast
    ? [own, ...old.map((one) => shareOf(one, { counts, hasLeast }))]
    : all.map((one) => needed(one, tallies));
  return { counts, weights: shareByInstances(shares), hasLeast };
}

/** What an ended rollout left, and is to have none, has no requests either: it is given up when none comes to it any more. */
function shareOf(one: StrategySet, { counts, hasLeast }: Pick<Recovery, "counts" | "hasLeast">): StrategySet {
  return hasLeast && counts.get(one.set) === 0 ? { ...one, serving: 0 } : one;
}

/** Too few can be counted on: those that were told to leave, as they were too many then, keep their requests. */
function needed(one: StrategySet, tallies: ReadonlyMap<SetName, Tally>): StrategySet {
  return { ...one, serving: tallies.get(one.set)?.present ?? 0 };
}

/** How many `web` instances a set is to have now. */
export function countOf(record: EnvironmentRecord, set: SetRecord, { counts }: Pick<Targets, "counts">): number {
  return counts.get(set.name) ?? set.count ?? settingsFor(record, set.name).instances;
}
