import { isOutdated } from "../ledger/secrets.ts";
import {
  isRouted,
  nextOrdinalOf,
  settingsFor,
  type EnvironmentRecord,
  type ReleaseRecord,
  type SetRecord,
} from "../ledger/state.ts";
import type { CondemnType } from "../ledger/event.ts";
import type { Exit, RouteRule } from "../model/observation.ts";
import { leadsTo, sameRule } from "../model/route-rule.ts";
import { formatRoute, type EnvironmentSettings } from "../model/content.ts";
import {
  isWorker,
  splitInstanceName,
  testProcess,
  webProcess,
  type InstanceName,
  type ProcessName,
  type SetName,
} from "../model/names.ts";
import { outUntilReplacedMs, type Health } from "./health.ts";
import { missingNeeds, waitEndMs, type NeedsView } from "./needs.ts";
import { planWorkers } from "./processes.ts";
import { earliestStartMs } from "./starts.ts";
import type { Step } from "./step.ts";
import {
  awaitsPreparation,
  isTasking,
  planChecks,
  planPreparation,
  planTasks,
  taskDeadlines,
  type TasksView,
} from "./tasks.ts";
import { isProven } from "./target.ts";
import { planWatch } from "./plan-watch.ts";
import { isUsable, onlyWeb, readyInstances } from "./ready.ts";
import { planRefusal, planReplacement } from "./revoked.ts";
import { planRetirements } from "./warm.ts";
import { holdsRequests, planHandover, planYielding, withoutClashes } from "./volumes.ts";
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

/** Everything a plan for one environment depends on, besides its record and the time. */
export interface EnvironmentView extends TasksView, NeedsView {
  /** Sorted by name. */
  readonly instances: readonly InstanceView[];
  /** Instances the router sends requests to, by set; sorted by name. */
  readonly placed: ReadonlyMap<SetName, readonly InstanceName[]>;
  /** Rules in effect whose stable set is of this environment. */
  readonly rules: readonly RouteRule[];
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  /** What the live set answered in the watch's window. */
  readonly recent: TrafficShare;
}

/** Decides what is to be done now for one environment. */
export type Planner = (record: EnvironmentRecord, view: EnvironmentView, nowMs: number) => readonly Step[];

/**
 * What is to be done now for one environment. Equal input gives an equal plan; a plan applied and observed gives, in
 * the end, an empty one.
 */
export function planEnvironment(record: EnvironmentRecord, view: EnvironmentView, nowMs: number): readonly Step[] {
  const sets = [...record.sets.values()].sort((a, b) => a.release - b.release);
  const bySet = Map.groupBy(view.instances, ({ set }) => set);
  const missingOf = (set: SetRecord) => missingNeeds(record, set, bySet.get(set.name) ?? [], view, nowMs);
  const waiting = new Set(sets.filter((set) => missingOf(set)?.waits === true).map(({ name }) => name));
  const live = record.live === null ? [] : (bySet.get(record.live.set) ?? []);
  const steps: Step[] = [
    ...planWatch(record, view, live, nowMs),
    ...planReplacement(record),
    ...planActive(record, view, bySet, nowMs).filter((step) => !waits(record, step, waiting)),
  ];
  for (const { set, reason } of planRetirements(record, view.memory, nowMs)) {
    steps.push({ kind: "retire", set: set.name, reason });
  }
  for (const set of sets) {
    const isHeld = waiting.has(set.name) || awaitsInstances(record, set, view);
    const without = missingOf(set)?.apps;
    for (const step of planSet(record, set, bySet.get(set.name) ?? [], view, nowMs)) {
      if (step.kind !== "ensure") steps.push(step);
      else if (!isHeld) steps.push(without === undefined ? step : { ...step, without });
    }
  }
  steps.push(...planTasks(record, view, nowMs));
  steps.push(...planRoutes(record, view, bySet));
  return withoutClashes(record, steps, view);
}

/** Whether a step is one of a rollout whose set waits for others: what comes before its instances may need them as much. */
function waits(record: EnvironmentRecord, step: Step, waiting: ReadonlySet<SetName>): boolean {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active === undefined || !waiting.has(active.set)) return false;
  return step.kind === "yield" || (step.kind === "start-task" && step.process !== testProcess);
}

/** Whether new instances of a set have to wait for what comes before them. */
function awaitsInstances(record: EnvironmentRecord, set: SetRecord, view: EnvironmentView): boolean {
  if (awaitsPreparation(record, set, view)) return true;
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return active?.set === set.name && planHandover(record, active, view) !== undefined;
}

/** When time alone will change the plan: the earliest such moment after now, ms since the epoch; null: never. */
export function nextDeadlineMs(record: EnvironmentRecord, view: EnvironmentView, nowMs: number): number | null {
  const moments: number[] = [...taskDeadlines(record)];
  if (record.watch !== null) moments.push(record.watch.startedAtMs + record.settings.watchMs);
  if (record.active !== null) moments.push(record.releases.get(record.active)?.deadlineAtMs ?? 0);
  for (const set of record.sets.values()) {
    if (set.role === "warm") moments.push(set.sinceMs + record.settings.keepWarmMs);
    if (set.role !== "ending" && settingsFor(record, set.name).needs !== undefined)
      moments.push(waitEndMs(record, set, view));
    for (const process of set.crashes.keys()) moments.push(earliestStartMs(set, process));
  }
  for (const { set, process, startedAtMs, health } of view.instances) {
    const settings = record.sets.get(set)?.content.settings;
    if (settings === undefined || process !== webProcess) continue;
    if (health.state === "starting") moments.push(startedAtMs + settings.health.deadlineMs);
    if (health.healthySinceMs !== null) moments.push(health.healthySinceMs + settings.minReadyMs);
    if (health.unhealthySinceMs !== null) moments.push(health.unhealthySinceMs + outUntilReplacedMs);
  }
  const later = moments.filter((moment) => moment > nowMs);
  return later.length === 0 ? null : Math.min(...later);
}

type BySet = ReadonlyMap<SetName, readonly InstanceView[]>;

function planActive(record: EnvironmentRecord, view: EnvironmentView, bySet: BySet, nowMs: number): readonly Step[] {
  if (record.active === null) return [];
  const release = record.releases.get(record.active);
  const set = release === undefined ? undefined : record.sets.get(release.set);
  if (release === undefined || set === undefined) return [];
  const toSwitch: Step = { kind: "switch", release: release.number, set: set.name };
  // The switch was begun and is in effect: it is finished whatever came after, so that state never says otherwise.
  if (record.switching !== null && view.rules.some((rule) => rule.stable === set.name)) return [toSwitch];
  const refusal = planRefusal(record, release);
  if (refusal !== undefined) return [refusal];
  if (isTasking(record, release)) return [];
  const preparation = planPreparation(record, release, view);
  const before = preparation ?? planHandover(record, release, view);
  const instances = before === undefined ? onlyWeb(bySet.get(set.name)) : [];
  const failure = failureOf(release, set, instances, nowMs);
  if (failure !== undefined) return [failure];
  if (before !== undefined) return before;
  if (!canSwitch(set, settingsFor(record, set.name), { instances, placed: view.placed }, nowMs)) return [];
  return planChecks(record, release, readyInstances(set, instances, nowMs), view) ?? [toSwitch];
}

/** Whether a set may go live: enough instances are ready, and the router knows them where they are to have traffic. */
export function canSwitch(
  set: SetRecord,
  wanted: Pick<EnvironmentSettings, "instances" | "route">,
  view: Pick<EnvironmentView, "instances" | "placed">,
  nowMs: number,
): boolean {
  const own = view.instances.filter((instance) => instance.set === set.name);
  const ready = readyInstances(set, own, nowMs);
  const placed = view.placed.get(set.name) ?? [];
  return (
    ready.length >= wanted.instances && (wanted.route === null || ready.every(({ name }) => placed.includes(name)))
  );
}

function failureOf(
  release: ReleaseRecord,
  set: SetRecord,
  instances: readonly InstanceView[],
  nowMs: number,
): Step | undefined {
  const fail = (instance: InstanceView | undefined, reason: "exited" | "unhealthy" | "deadline"): Step => ({
    kind: "fail",
    release: release.number,
    instance: instance?.name ?? null,
    reason,
  });
  const fresh = instances.filter(({ name }) => !set.proven.has(name) && !set.condemned.has(name));
  // Half-made ones and those that lost their supervisor say nothing about the content: they are replaced.
  const exited = fresh.find(({ phase }) => phase === "exited");
  if (exited !== undefined) return fail(exited, "exited");
  const late = fresh.find((instance) => isLate(instance, set, nowMs));
  if (late !== undefined) return fail(late, "unhealthy");
  if (nowMs < release.deadlineAtMs) return undefined;
  return fail(instances.find((instance) => !isUsable(instance)) ?? instances[0], "deadline");
}

/** Past its deadline without a passed probe; one that a daemon has only just found is asked once before it is judged. */
function isLate({ health, startedAtMs, address }: InstanceView, set: SetRecord, nowMs: number): boolean {
  const isAsked = health.probes > 0 || address === null;
  return health.state === "starting" && isAsked && nowMs >= startedAtMs + set.content.settings.health.deadlineMs;
}

function planSet(
  record: EnvironmentRecord,
  set: SetRecord,
  all: readonly InstanceView[],
  view: EnvironmentView,
  nowMs: number,
): readonly Step[] {
  const steps: Step[] = [...planYielding(record, set, all, view), ...planWorkers(record, set, all, nowMs)];
  if (set.role === "ending") return [...steps, ...planEnding(set, all, view)];
  const instances = onlyWeb(all);
  const wanted = settingsFor(record, set.name).instances;
  const running = instances.filter(({ phase }) => phase === "running");
  const alive = running.filter(({ name }) => !set.condemned.has(name));
  const isFirstStart = set.role === "next";

  const missing = wanted - alive.length;
  if (
    missing > 0 &&
    nowMs >= earliestStartMs(set, webProcess) &&
    !(isFirstStart && instances.some(({ name, phase }) => phase === "exited" && !set.proven.has(name)))
  ) {
    const ordinals = Array.from({ length: missing }, (_, i) => nextOrdinalOf(set, webProcess) + i);
    // By name, and not by number: one of them may be gone when it is carried out.
    const ending = running.filter(({ name }) => set.condemned.has(name)).map(({ name }) => name);
    steps.push({
      kind: "ensure",
      set: set.name,
      count: wanted,
      ordinals,
      ...(ending.length === 0 ? {} : { ending }),
    });
  }
  for (const { name } of alive.filter(({ orphaned }) => orphaned)) {
    const reason = "its supervisor ended: nobody would tell how it ends";
    steps.push({ kind: "condemn", instance: name, type: "broken", reason });
  }
  for (const { name } of alive.filter((instance) => isOutdated(set, instance)))
    steps.push({ kind: "condemn", instance: name, type: "secret", reason: "a secret that it has has ended" });
  if (!isFirstStart || record.active === null) {
    steps.push(...planCondemned(set, alive, running, wanted, nowMs));
  }
  const placed = view.placed.get(set.name) ?? [];
  const routed = isRouted(record, set.name);
  const hasAlone = Object.values(set.content.settings.volumes ?? {}).some(({ sharing }) => sharing === "exclusive");
  const isInTheWay = (type: CondemnType): boolean => hasAlone || type === "yields";
  const serving = alive.filter((one) => isUsable(one) && (!routed || placed.includes(one.name))).length;
  for (const name of set.condemned.keys()) {
    // Gone before it was recorded, as by a crash between the two: what is left to do is the record.
    if (splitInstanceName(name)?.process === webProcess && !instances.some((instance) => instance.name === name))
      steps.push({ kind: "end", set: set.name, instance: name, drainUntilMs: null });
  }
  for (const instance of instances) {
    const condemned = set.condemned.get(instance.name);
    // One that ended in its first start is kept until the rollout's failure has been told from it.
    const gone =
      instance.phase === "broken" ||
      (instance.phase === "exited" && (!isFirstStart || set.proven.has(instance.name) || condemned !== undefined));
    if (gone) steps.push({ kind: "end", set: set.name, instance: instance.name, drainUntilMs: null });
    else if (condemned !== undefined && (serving >= wanted || !isUsable(instance) || isInTheWay(condemned.type))) {
      // A condemned instance serves until its replacement does, which cannot start beside it where it has a volume alone.
      const sinceMs = isInTheWay(condemned.type) ? condemned.atMs : nowMs;
      const drainUntilMs = sinceMs + set.content.settings.drainMs;
      steps.push({ kind: "end", set: set.name, instance: instance.name, drainUntilMs });
    }
  }
  const endpoints = routed ? planEndpoints(set, instances, placed) : planNoEndpoints(set, placed, view);
  if (endpoints !== undefined) steps.push({ kind: "place", set: set.name, instances: endpoints });
  return steps;
}

function planCondemned(
  set: SetRecord,
  alive: readonly InstanceView[],
  running: readonly InstanceView[],
  wanted: number,
  nowMs: number,
): readonly Step[] {
  const condemn = (instance: InstanceView, type: "unhealthy" | "late" | "surplus", reason: string): Step => ({
    kind: "condemn",
    instance: instance.name,
    type,
    reason,
  });
  if (alive.length > wanted) {
    // Those that do not serve go first, then the newest.
    const order = alive.toSorted((a, b) => Number(isUsable(a)) - Number(isUsable(b)) || b.ordinal - a.ordinal);
    return order
      .slice(0, alive.length - wanted)
      .map((instance) =>
        condemn(instance, "surplus", `${wanted} ${wanted === 1 ? "instance is" : "instances are"} wanted`),
      );
  }
  const late = alive.filter((instance) => !set.proven.has(instance.name) && isLate(instance, set, nowMs));
  if (late.length > 0) return late.map((instance) => condemn(instance, "late", "it did not become healthy in time"));
  const failing = alive.filter(
    ({ health }) => health.unhealthySinceMs !== null && nowMs >= health.unhealthySinceMs + outUntilReplacedMs,
  );
  // With none left to serve, replacing all at once would only add to the trouble: one at a time.
  const allFail = !running.some(isUsable);
  const ending = running.some(({ name }) => set.condemned.has(name));
  if (allFail && (ending || alive.some(({ health }) => health.state === "starting"))) return [];
  return (allFail ? failing.slice(0, 1) : failing).map((instance) =>
    condemn(instance, "unhealthy", `it failed ${instance.health.failures} probes in a row`),
  );
}

/**
 * The endpoints a set is to have, or undefined when it has them. One that is being drained keeps its place until it is
 * gone, so that its requests can still be counted; a condemned one never gets a place, for its end may be under way.
 */
function planEndpoints(
  set: SetRecord,
  instances: readonly InstanceView[],
  placed: readonly InstanceName[],
): readonly InstanceName[] | undefined {
  const running = instances.filter(({ phase, address }) => phase === "running" && address !== null);
  let wanted = running
    .filter((instance) => isUsable(instance) && (!set.condemned.has(instance.name) || placed.includes(instance.name)))
    .map(({ name }) => name);
  // All fail their probes while they run: they stay in traffic, a wrong answer is better than none.
  if (wanted.length === 0) wanted = running.filter(({ name }) => placed.includes(name)).map(({ name }) => name);
  // A route leads to what is live: its place stays, and its next instance takes over from those that are gone.
  if (wanted.length === 0 && set.role === "live") return undefined;
  wanted.sort();
  return wanted.length === placed.length && wanted.every((name, i) => name === placed[i]) ? undefined : wanted;
}

/** Without a route there is nothing to be in; one that had a route leaves its place when no rule leads there any more. */
function planNoEndpoints(
  set: SetRecord,
  placed: readonly InstanceName[],
  view: EnvironmentView,
): readonly InstanceName[] | undefined {
  return placed.length === 0 || view.rules.some((rule) => leadsTo(rule, set.name)) ? undefined : [];
}

function planEnding(set: SetRecord, instances: readonly InstanceView[], view: EnvironmentView): readonly Step[] {
  // Nothing of it is ended while a route may still lead to it.
  if (view.rules.some((rule) => leadsTo(rule, set.name))) return [];
  if (instances.length === 0) return [{ kind: "forget", set: set.name }];
  return instances.flatMap(({ name, process, phase }) =>
    isWorker(process)
      ? []
      : {
          kind: "end",
          set: set.name,
          instance: name,
          drainUntilMs: phase === "running" ? set.sinceMs + set.content.settings.drainMs : null,
        },
  );
}

/** Instances that the router sends requests to and that may answer them. */
function servingOf(instances: readonly InstanceView[], placed: readonly InstanceName[]): readonly InstanceName[] {
  return instances.filter((one) => isUsable(one) && placed.includes(one.name)).map(({ name }) => name);
}

/** Puts right what answers the route where no switch is under way: after a restart, a changed route, `down`. */
function planRoutes(record: EnvironmentRecord, view: EnvironmentView, bySet: BySet): readonly Step[] {
  if (record.switching !== null) return [];
  const steps: Step[] = [];
  const { live, settings } = record;
  const { route } = settings;
  const wantedKey = live === null || route === null ? "" : formatRoute(route);
  const right = view.rules.find((rule) => formatRoute(rule.route) === wantedKey);
  const set = live === null ? undefined : record.sets.get(live.set);
  if (live !== null && route !== null) {
    const serving = servingOf(onlyWeb(bySet.get(live.set)), view.placed.get(live.set) ?? []);
    const hold = set !== undefined && holdsRequests(record, set, right?.hold === true, serving);
    const rule: RouteRule = { route, stable: live.set, ...(hold ? { hold } : {}) };
    if (right?.stable === live.set ? !sameRule(right, rule) : view.placed.has(live.set)) {
      steps.push({ kind: "route", route, rule });
      return steps;
    }
  }
  for (const rule of view.rules) {
    if (formatRoute(rule.route) !== wantedKey) steps.push({ kind: "route", route: rule.route, rule: null });
  }
  return steps.slice(0, 1);
}

/** Whether a release needs no watch: its content came through one before, or none is asked for. */
export function provenAtSwitch(
  record: EnvironmentRecord,
  release: ReleaseRecord,
): "no watch" | "proven before" | undefined {
  if (release.type === "rollback" && isProven(record, release.digest)) return "proven before";
  return (release.settings ?? record.settings).watchMs === 0 ? "no watch" : undefined;
}
