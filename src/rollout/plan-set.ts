import type { CondemnType } from "../ledger/event.ts";
import { isOutdated } from "../ledger/secrets.ts";
import { isRouted, nextOrdinalOf, type EnvironmentRecord, type SetRecord } from "../ledger/state.ts";
import { isWorker, splitInstanceName, webProcess, type InstanceName } from "../model/names.ts";
import { leadsTo } from "../model/route-rule.ts";
import { outUntilReplacedMs } from "./health.ts";
import { isLate } from "./plan-active.ts";
import { planWorkers } from "./processes.ts";
import { isUsable, onlyWeb } from "./ready.ts";
import { earliestStartMs } from "./starts.ts";
import type { Step } from "./step.ts";
import { countOf, type Targets } from "./targets.ts";
import {
  leavesAtOnce,
  isPlaced,
  setView,
  worthOf,
  type EnvironmentView,
  type InstanceView,
  type SetView,
  type Tally,
} from "./view.ts";
import { planYielding } from "./volumes.ts";

/** What the plan of a set depends on. */
export interface SetsPlanned {
  readonly record: EnvironmentRecord;
  readonly view: EnvironmentView;
  readonly targets: Targets;
  /** Whether the router shares requests out as it is to. */
  readonly isRouteRight: boolean;
  readonly nowMs: number;
}

interface OneSet extends SetsPlanned {
  readonly set: SetRecord;
  readonly own: SetView;
  readonly tally: Tally;
  readonly wanted: number;
  /** `web` instances that are to be looked at one by one. */
  readonly odd: readonly InstanceView[];
}

/** Adds what is to be done about the instances of a set and their places. */
export function planSet(planned: SetsPlanned, set: SetRecord, steps: Step[]): void {
  const { record, view, targets, nowMs } = planned;
  const own = setView(view, set.name);
  const tally = targets.tallies.get(set.name);
  if (isAtRest(planned, set, own, tally)) return;
  steps.push(...planYielding(record, set, view), ...planWorkers(record, set, own.odd, nowMs));
  if (set.role === "ending" || tally === undefined) {
    planEnding(set, own, view, steps);
    return;
  }
  const count = countOf(record, set, targets);
  const goes = set.role === "leaving" && count === 0 && targets.hasLeast !== false;
  // Until no request comes to it any more it may be needed again: others may have ended by then.
  if ((goes && !isLedTo(set, view)) || (set.role === "leaving" && tally.running === 0)) {
    const reason = tally.running === 0 ? "nothing of it runs any more" : "what is live is whole again";
    steps.push({ kind: "retire", set: set.name, reason });
    return;
  }
  // It goes as a whole, and nothing of it before.
  const wanted = goes ? tally.alive : count;
  const one: OneSet = { ...planned, set, own, tally, wanted, odd: onlyWeb(own.odd) };
  planStarts(one, steps);
  planCondemned(one, steps);
  planEnds(one, steps);
  const placed = view.placed.get(set.name) ?? [];
  const { add, remove } = isRouted(record, set.name) ? planPlaces(one, placed) : planNoPlaces(set, placed, view);
  if (add.length + remove.length > 0) steps.push({ kind: "place", set: set.name, add, remove });
}

/** Whether all that is there is plain and as many as are wanted: nearly always so of what stands by or is replaced. */
function isAtRest({ record, view, targets }: SetsPlanned, set: SetRecord, own: SetView, tally?: Tally): boolean {
  return (
    tally !== undefined &&
    own.odd.length === 0 &&
    set.condemned.size === 0 &&
    set.role !== "leaving" &&
    set.yieldsTo === null &&
    set.content.settings.processes === undefined &&
    tally.alive === countOf(record, set, targets) &&
    isRouted(record, set.name) &&
    (view.placed.get(set.name)?.length ?? 0) === own.plain
  );
}

function planStarts({ set, tally, wanted, odd, nowMs }: OneSet, steps: Step[]): void {
  const missing = wanted - tally.alive;
  // What is on its way out gets no new ones.
  if (missing <= 0 || set.role === "leaving" || nowMs < earliestStartMs(set, webProcess)) return;
  const hasFailed = odd.some(({ name, phase }) => phase === "exited" && !set.proven.has(name));
  if (set.role === "next" && hasFailed) return;
  const ordinals: number[] = [];
  for (let ordinal = nextOrdinalOf(set, webProcess); ordinals.length < missing; ordinal += 1) ordinals.push(ordinal);
  // By name, and not by number: one of them may be gone when it is carried out.
  const ending = odd
    .filter(({ name, phase }) => phase === "running" && set.condemned.has(name))
    .map(({ name }) => name);
  steps.push({ kind: "ensure", set: set.name, count: wanted, ordinals, ...(ending.length === 0 ? {} : { ending }) });
}

const noSteps: readonly Step[] = [];

function planCondemned(one: OneSet, steps: Step[]): void {
  const { set, odd, own, tally, wanted, record, view, nowMs } = one;
  if (odd.length === 0 && tally.alive <= wanted) return;
  const staying = odd.filter(({ name, phase }) => phase === "running" && !set.condemned.has(name));
  for (const instance of staying)
    if (instance.orphaned)
      steps.push(condemn(instance, "broken", "its supervisor ended: nobody would tell how it ends"));
  for (const instance of set.renewedFrom.size === 0 ? noInstances : staying)
    if (isOutdated(set, instance)) steps.push(condemn(instance, "secret", "a secret that it has has ended"));
  if (tally.alive > wanted) {
    // Those that do not serve go first, then those that cannot be counted on yet, then the newest.
    const alive = own.all.filter(
      ({ name, process, phase }) => process === webProcess && phase === "running" && !set.condemned.has(name),
    );
    const placed = view.placed.get(set.name);
    const routed = isRouted(record, set.name);
    const worth = new Map(alive.map((one) => [one, worthOf(set, one, placed, routed, nowMs)]));
    const order = alive.sort((a, b) => (worth.get(a) ?? 0) - (worth.get(b) ?? 0) || b.ordinal - a.ordinal);
    const reason = `${wanted} ${wanted === 1 ? "instance is" : "instances are"} wanted`;
    for (const instance of order.slice(0, alive.length - wanted)) steps.push(condemn(instance, "surplus", reason));
    return;
  }
  // What is wrong with what is on its way is its rollout's to tell, and what leaves is not mended.
  if (set.role === "leaving" || (set.role === "next" && record.active !== null)) return;
  steps.push(...planUnwell(one, staying));
}

function condemn({ name }: InstanceView, type: CondemnType, reason: string): Step {
  return { kind: "condemn", instance: name, type, reason };
}

function planUnwell({ set, odd, tally, own, nowMs }: OneSet, staying: readonly InstanceView[]): readonly Step[] {
  const late = staying.filter((instance) => !set.proven.has(instance.name) && isLate(instance, set, nowMs));
  if (late.length > 0) return late.map((instance) => condemn(instance, "late", "it did not become healthy in time"));
  const failing = staying.filter(
    ({ health }) => health.unhealthySinceMs !== null && nowMs >= health.unhealthySinceMs + outUntilReplacedMs,
  );
  if (failing.length === 0) return noSteps;
  // With none left to serve, replacing all at once would only add to the trouble: one at a time.
  const allFail = own.plain === 0 && !odd.some(isUsable);
  const ending = tally.running > tally.alive;
  if (allFail && (ending || staying.some(({ health }) => health.state === "starting"))) return noSteps;
  return (allFail ? failing.slice(0, 1) : failing).map((instance) =>
    condemn(instance, "unhealthy", `it failed ${instance.health.failures} probes in a row`),
  );
}

function planEnds({ set, own, odd, tally, wanted, isRouteRight, view, targets, nowMs }: OneSet, steps: Step[]): void {
  // Nobody is to end, and all run.
  if (set.condemned.size === 0 && odd.every(({ phase }) => phase === "running")) return;
  const { settings } = set.content;
  const isInTheWay = (type: CondemnType): boolean => (type === "yields" && set.yieldsTo !== null) || hasAlone(set);
  const isLeft = (type: CondemnType): boolean => set.role === "leaving" && !leavesAtOnce.has(type);
  const end = (instance: InstanceName, drainUntilMs: number | null): void => {
    steps.push({ kind: "end", set: set.name, instance, drainUntilMs });
  };
  // Gone before it was recorded, as by a crash between the two: what is left to do is the record.
  for (const name of unseenOf(set, own, odd)) end(name, null);
  // One that has requests by its weight keeps them until the router has given them to others.
  const mayDrain = targets.weights === undefined || isRouteRight;
  const isAsked = view.rules.some((rule) => rule.hold !== true && leadsTo(rule, set.name));
  for (const instance of odd) {
    const condemned = set.condemned.get(instance.name);
    // One that ended in its first start is kept until the rollout's failure has been told from it.
    const gone =
      instance.phase === "broken" ||
      (instance.phase === "exited" &&
        (set.role !== "next" || set.proven.has(instance.name) || condemned !== undefined));
    if (gone) end(instance.name, null);
    else if (condemned === undefined) continue;
    // Its time counts from when it was told to go, as requests wait by then; where they came to it until now, from now.
    else if (isInTheWay(condemned.type))
      end(instance.name, (isAsked && !view.drained.has(instance.name) ? nowMs : condemned.atMs) + settings.drainMs);
    // A condemned instance serves until its replacement does, which cannot start beside it where it has a volume alone.
    // What an ended rollout left behind gets no replacement: it serves until what is live is whole. Where several sets
    // serve, others may have ended since it was told to go: then it stays until enough answer besides.
    else if (
      !isUsable(instance) ||
      view.drained.has(instance.name) ||
      (tally.serving >= wanted && mayDrain && !isLeft(condemned.type) && targets.hasLeast !== false)
    )
      end(instance.name, nowMs + settings.drainMs);
  }
}

type Places = Pick<Extract<Step, { kind: "place" }>, "add" | "remove">;

const asTheyAre: Places = { add: [], remove: [] };

/** Whether `web` of a set has a volume for itself alone. */
function hasAlone({ content }: SetRecord): boolean {
  const { volumes } = content.settings;
  return volumes !== undefined && Object.values(volumes).some(({ sharing }) => sharing === "exclusive");
}

/** Condemned ones that are not there any more. */
function unseenOf(set: SetRecord, own: SetView, odd: readonly InstanceView[]): readonly InstanceName[] {
  let seen = 0;
  for (const { name } of odd) if (set.condemned.has(name)) seen += 1;
  // Nearly always all of them are.
  if (seen === set.condemned.size) return noNames;
  const there = new Set(odd.map(({ name }) => name));
  const left = [...set.condemned.keys()].filter(
    (name) => !there.has(name) && splitInstanceName(name)?.process === webProcess,
  );
  if (left.length === 0) return left;
  const all = new Set(own.all.map(({ name }) => name));
  return left.filter((name) => !all.has(name));
}

/**
 * Which instances are to get their places, and which to lose them. One that is being drained keeps its place until it is
 * gone, so that its requests can still be counted; a condemned one never gets a place, for its end may be under way.
 */
function planPlaces({ set, odd, own }: OneSet, placed: readonly InstanceName[]): Places {
  if (odd.length === 0 && placed.length === own.plain) return asTheyAre;
  const add: InstanceName[] = [];
  // All that is plain has its place, and keeps it.
  const there: InstanceView[] = [];
  const failing: InstanceView[] = [];
  let belong = own.plain;
  for (const instance of odd) {
    const isThere = isPlaced(placed, instance.name);
    const belongs = canBePlaced(instance) && isUsable(instance) && (isThere || !set.condemned.has(instance.name));
    if (belongs) belong += 1;
    if (isThere) there.push(instance);
    if (belongs && !isThere) add.push(instance.name);
    if (isThere && !belongs) failing.push(instance);
  }
  const gone = placed.length === own.plain + there.length ? noNames : withoutInstance(placed, own);
  if (belong > 0) return { add, remove: sortedNames(gone, failing) };
  // All fail their probes while they run: they stay in traffic, a wrong answer is better than none. A route leads to what
  // is live: its place stays, and its next instance takes over from those that are gone.
  if (set.role === "live" && !there.some(canBePlaced)) return asTheyAre;
  return {
    add: noNames,
    remove: sortedNames(
      gone,
      there.filter((instance) => !canBePlaced(instance)),
    ),
  };
}

const canBePlaced = ({ phase, address }: InstanceView): boolean => phase === "running" && address !== null;

const noNames: readonly InstanceName[] = [];
const noInstances: readonly InstanceView[] = [];

function sortedNames(names: readonly InstanceName[], instances: readonly InstanceView[]): readonly InstanceName[] {
  return names.length + instances.length === 0 ? noNames : [...names, ...namesOf(instances)].sort();
}

/** Names of whom there is no instance any more. */
function withoutInstance(names: readonly InstanceName[], { all }: SetView): readonly InstanceName[] {
  const there = new Set(namesOf(onlyWeb(all)));
  return names.filter((name) => !there.has(name));
}

const namesOf = (instances: readonly InstanceView[]): readonly InstanceName[] => instances.map(({ name }) => name);

/** Without a route there is nothing to be in; one that had a route leaves its place when no rule leads there any more. */
function planNoPlaces(set: SetRecord, placed: readonly InstanceName[], view: EnvironmentView): Places {
  return isLedTo(set, view) ? asTheyAre : { add: [], remove: placed };
}

function planEnding(set: SetRecord, { all }: SetView, view: EnvironmentView, steps: Step[]): void {
  // Nothing of it is ended while a route may still lead to it.
  if (isLedTo(set, view)) return;
  if (all.length === 0) steps.push({ kind: "forget", set: set.name });
  const drainUntilMs = set.sinceMs + set.content.settings.drainMs;
  for (const { name, process, phase } of all)
    if (!isWorker(process))
      steps.push({
        kind: "end",
        set: set.name,
        instance: name,
        drainUntilMs: phase === "running" ? drainUntilMs : null,
      });
}

/** Whether a request may come to a set. */
function isLedTo({ name }: SetRecord, { rules }: EnvironmentView): boolean {
  return rules.some((rule) => leadsTo(rule, name));
}
