import { isOutdated } from "../ledger/secrets.ts";
import type { CondemnType } from "../ledger/event.ts";
import { settingsFor, type EnvironmentRecord, type SetRecord } from "../ledger/state.ts";
import { sameRoute } from "../model/route-rule.ts";
import { webProcess, type InstanceName, type ProcessName, type SetName } from "../model/names.ts";
import type { Exit, RouteRule } from "../model/observation.ts";
import type { Health } from "./health.ts";
import type { AnalysisView } from "./plan-analysis.ts";
import type { NeedsView } from "./needs.ts";
import { isUsable } from "./ready.ts";
import { positionIn } from "./sorted.ts";
import type { TasksView } from "./tasks.ts";
import type { TrafficShare } from "./watch.ts";

/** One instance, as seen now. */
export interface InstanceView {
  readonly name: InstanceName;
  readonly set: SetName;
  readonly process: ProcessName;
  readonly ordinal: number;
  readonly phase: "running" | "exited" | "broken";
  readonly address: string | null;
  readonly startedAtMs: number;
  readonly exit: Exit | null;
  readonly health: Health;
  /** Its supervisor ended before it: it serves on and is to be replaced. */
  readonly orphaned: boolean;
}

/**
 * The instances of a set, as seen now, without its tasks. Most of a large set are alike: those are a number, so that a plan
 * costs as much as there is to look at, not as there is in all.
 */
export interface SetView {
  /**
   * How many of `web` are plain: they run, are healthy and have been for as long as is asked for, have their place in the
   * router where the set has any, and nothing is to be done about them.
   */
  readonly plain: number;
  /** All others; sorted by name. */
  readonly odd: readonly InstanceView[];
  /** All there are; sorted by name. Costs as much as there are. */
  readonly all: readonly InstanceView[];
}

/** Everything a plan for one environment depends on, besides its record and the time. */
export interface EnvironmentView extends TasksView, NeedsView {
  /** Sets without instances may be absent. */
  readonly sets: ReadonlyMap<SetName, SetView>;
  /** Instances the router sends requests to, by set; sorted by name. */
  readonly placed: ReadonlyMap<SetName, readonly InstanceName[]>;
  /** Those of them that get no new ones any more: they are about to end. */
  readonly drained: ReadonlySet<InstanceName>;
  /** Rules whose stable set is of this environment: those in effect, and after them those that may be at any moment. */
  readonly rules: readonly RouteRule[];
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  /** What the live set answered in the watch's window. */
  readonly recent: TrafficShare;
  /** What was measured of the rollout under way; absent: nothing is. */
  readonly analysis?: AnalysisView | undefined;
}

const emptySet: SetView = { plain: 0, odd: [], all: [] };

export function setView(view: Pick<EnvironmentView, "sets">, set: SetName): SetView {
  return view.sets.get(set) ?? emptySet;
}

/** Whether a switch was begun and requests may be answered by what it is to already: it cannot be called back any more. */
export function isSwitchIssued(record: EnvironmentRecord, { rules }: Pick<EnvironmentView, "rules">): boolean {
  if (record.switching === null) return false;
  const { set } = record.switching;
  const { route } = settingsFor(record, set);
  return rules.some((rule) => rule.stable === set && sameRoute(rule.route, route));
}

/** Views in which each instance is looked at by itself. @param instances sorted by name */
export function viewsOf(instances: readonly InstanceView[]): ReadonlyMap<SetName, SetView> {
  const sets = new Map<SetName, SetView>();
  for (const [set, odd] of Map.groupBy(instances, (one) => one.set)) sets.set(set, { plain: 0, odd, all: odd });
  return sets;
}

/** All instances of an environment; costs as much as there are. */
export function allInstances({ sets }: Pick<EnvironmentView, "sets">): readonly InstanceView[] {
  return [...sets.values()].flatMap(({ all }) => all);
}

export function hasRunning({ plain, odd }: SetView): boolean {
  return plain > 0 || odd.some(({ phase }) => phase === "running");
}

/** Whether an instance of `web` may answer requests. */
export function hasUsable({ plain, odd }: SetView): boolean {
  return plain > 0 || odd.some((one) => one.process === webProcess && isUsable(one));
}

/** Whether an instance is among those of a set that are placed. @param placed sorted */
export function isPlaced(placed: readonly InstanceName[] | undefined, name: InstanceName): boolean {
  return placed !== undefined && placed[positionIn(placed, name)] === name;
}

/** How many `web` instances of a set are what. */
export interface Tally {
  readonly running: number;
  /** Run and are to stay. */
  readonly alive: number;
  /** Stay, may answer requests, and have their place. */
  readonly serving: number;
  /** Serve, or do so for as long as their replacement does not. */
  readonly answering: number;
  /** Answer now, also those that leave without a replacement, until they are drained. */
  readonly present: number;
  /** Stay, have their place, and have been well for as long as the content asks for: what a strategy counts on. */
  readonly available: number;
}

export const noTally: Tally = { running: 0, alive: 0, serving: 0, answering: 0, present: 0, available: 0 };

/** Why an instance ends that nothing takes the place of. */
export const leavesAtOnce: ReadonlySet<CondemnType> = new Set<CondemnType>(["surplus", "yields", "idle"]);

/** How requests come to a set. */
export interface Reached {
  /** Its instances that have their places; sorted. */
  readonly placed: readonly InstanceName[] | undefined;
  readonly drained: ReadonlySet<InstanceName>;
  /** Whether they come by the router. */
  readonly routed: boolean;
}

export function tallyOf(
  set: SetRecord,
  { plain, odd }: SetView,
  { placed, drained, routed }: Reached,
  nowMs: number,
): Tally {
  if (plain === 0 && odd.length === 0) return noTally;
  let running = plain;
  let alive = plain;
  let serving = plain;
  let answering = plain;
  let present = plain;
  let available = plain;
  for (const instance of odd) {
    if (instance.process !== webProcess || instance.phase !== "running") continue;
    running += 1;
    const condemned = set.condemned.get(instance.name);
    if (condemned === undefined) alive += 1;
    const worth = drained.has(instance.name) ? 0 : worthOf(set, instance, placed, routed, nowMs);
    if (worth === 0) continue;
    present += 1;
    if (condemned === undefined || !leavesAtOnce.has(condemned.type)) answering += 1;
    if (condemned !== undefined) continue;
    serving += 1;
    if (worth === 2) available += 1;
  }
  return { running, alive, serving, answering, present, available };
}

/**
 * What a running `web` instance is good for: 0: it answers no requests, 1: it does, 2: and can be counted on.
 *
 * @param routed whether requests come to it by the router
 */
export function worthOf(
  set: SetRecord,
  instance: InstanceView,
  placed: readonly InstanceName[] | undefined,
  routed: boolean,
  nowMs: number,
): 0 | 1 | 2 {
  if (!isUsable(instance) || (routed && !isPlaced(placed, instance.name))) return 0;
  const { healthySinceMs } = instance.health;
  // One that served before this daemon looked has done so for long enough.
  const isLong = healthySinceMs === null || nowMs - healthySinceMs >= set.content.settings.minReadyMs;
  return isLong && !instance.orphaned && !isOutdated(set, instance) ? 2 : 1;
}
