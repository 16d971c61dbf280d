import { settingsFor, type EnvironmentRecord, type ReleaseRecord, type SetRecord } from "../ledger/state.ts";
import { testProcess, webProcess, type SetName } from "../model/names.ts";
import { longestPauseMs } from "../model/strategy.ts";
import { outUntilReplacedMs } from "./health.ts";
import { hasNeeds, missingNeeds, waitEndMs, type Missing } from "./needs.ts";
import { planActive } from "./plan-active.ts";
import { planRoutes } from "./plan-routes.ts";
import { planSet, type SetsPlanned } from "./plan-set.ts";
import { planWatch } from "./plan-watch.ts";
import { planReplacement } from "./revoked.ts";
import { earliestStartMs } from "./starts.ts";
import type { Step } from "./step.ts";
import { blueGreenHoldEndMs } from "./strategies/blue-green.ts";
import { canaryHoldEndMs } from "./strategies/canary.ts";
import { planTargets, strategyOf } from "./targets.ts";
import { awaitsPreparation, planTasks, taskDeadlines } from "./tasks.ts";
import { isProven } from "./target.ts";
import { setView, type EnvironmentView } from "./view.ts";
import { hasClash, planHandover } from "./volumes.ts";
import { planRetirements } from "./warm.ts";

/** Decides what is to be done now for one environment. */
export type Planner = (record: EnvironmentRecord, view: EnvironmentView, nowMs: number) => readonly Step[];

/**
 * What is to be done now for one environment. Equal input gives an equal plan; a plan applied and observed gives, in
 * the end, an empty one.
 */
export function planEnvironment(record: EnvironmentRecord, view: EnvironmentView, nowMs: number): readonly Step[] {
  const missing = missingOf(record, view, nowMs);
  const targets = planTargets(record, view, nowMs);
  const routes = planRoutes(record, view, targets);
  const steps: Step[] = [...planWatch(record, view, nowMs), ...planReplacement(record)];
  for (const step of planActive(record, view, targets, nowMs)) if (!waits(record, step, missing)) steps.push(step);
  for (const { set, reason } of planRetirements(record, view.memory, nowMs))
    steps.push({ kind: "retire", set: set.name, reason });
  const planned: SetsPlanned = {
    record,
    view,
    targets,
    isRouteRight: routes.length === 0 && record.switching === null,
    nowMs,
  };
  for (const set of byRelease(record)) planSet(planned, set, steps);
  steps.push(...planTasks(record, view, nowMs), ...routes);
  return steps.some(({ kind }) => kind === "ensure") ? withoutWaiting(record, steps, missing, view) : steps;
}

/** Without starts that something has to come before; what starts without what it needs says so. */
function withoutWaiting(
  record: EnvironmentRecord,
  steps: readonly Step[],
  missing: ReadonlyMap<SetName, Missing>,
  view: EnvironmentView,
): readonly Step[] {
  const yields = steps.find((step) => step.kind === "yield");
  const left: Step[] = [];
  for (const step of steps) {
    if (step.kind !== "ensure") {
      left.push(step);
      continue;
    }
    const set = record.sets.get(step.set);
    const lacks = missing.get(step.set);
    // What is being started as it is told to end has a volume that nobody sees it have.
    if (set === undefined || yields?.set === set.name || lacks?.waits === true) continue;
    if (awaitsInstances(record, set, view) || hasClash(record, set, step.process ?? webProcess, view)) continue;
    left.push(lacks === undefined ? step : { ...step, without: lacks.apps });
  }
  return left;
}

/** As a rule they lie in this order already. */
function byRelease({ sets }: EnvironmentRecord): Iterable<SetRecord> {
  let last = 0;
  for (const { release } of sets.values()) {
    if (release < last) return [...sets.values()].sort((a, b) => a.release - b.release);
    last = release;
  }
  return sets.values();
}

/** What each set lacks that it needs. */
function missingOf(record: EnvironmentRecord, view: EnvironmentView, nowMs: number): ReadonlyMap<SetName, Missing> {
  if (!hasNeeds(record)) return noneMissing;
  const found = new Map<SetName, Missing>();
  for (const set of record.sets.values()) {
    const missing = missingNeeds(record, set, setView(view, set.name), view, nowMs);
    if (missing !== undefined) found.set(set.name, missing);
  }
  return found;
}

const noneMissing: ReadonlyMap<SetName, Missing> = new Map();

/** Whether a step is one of a rollout whose set waits for others: what comes before its instances may need them as much. */
function waits(record: EnvironmentRecord, step: Step, missing: ReadonlyMap<SetName, Missing>): boolean {
  if (missing.size === 0) return false;
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active === undefined || missing.get(active.set)?.waits !== true) return false;
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
  let next = Number.POSITIVE_INFINITY;
  const at = (moment: number): void => {
    if (moment > nowMs && moment < next) next = moment;
  };
  for (const moment of taskDeadlines(record)) at(moment);
  if (record.watch !== null) at(record.watch.startedAtMs + record.settings.watchMs);
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active !== undefined) for (const moment of rolloutMoments(record, active)) at(moment);
  for (const set of record.sets.values()) {
    // Its instances end, however they do.
    if (set.role === "ending") continue;
    if (set.role === "warm") at(set.sinceMs + record.settings.keepWarmMs);
    if (settingsFor(record, set.name).needs !== undefined) at(waitEndMs(record, set, view));
    for (const process of set.crashes.keys()) at(earliestStartMs(set, process));
    const { settings } = set.content;
    // What is plain has nothing before it that time alone brings.
    for (const { process, startedAtMs, health } of setView(view, set.name).odd) {
      if (process !== webProcess) continue;
      if (health.state === "starting") at(startedAtMs + settings.health.deadlineMs);
      if (health.healthySinceMs !== null) at(health.healthySinceMs + settings.minReadyMs);
      if (health.unhealthySinceMs !== null) at(health.unhealthySinceMs + outUntilReplacedMs);
    }
  }
  return next === Number.POSITIVE_INFINITY ? null : next;
}

function rolloutMoments(record: EnvironmentRecord, active: ReleaseRecord): readonly number[] {
  const { progress, deadlineAtMs } = active;
  if (progress.paused !== null) return [progress.paused.sinceMs + longestPauseMs];
  const { strategy } = strategyOf(record, active);
  const held =
    strategy.kind === "canary"
      ? canaryHoldEndMs(strategy, progress)
      : strategy.kind === "blue-green"
        ? blueGreenHoldEndMs(strategy, progress)
        : null;
  return held === null ? [deadlineAtMs] : [deadlineAtMs, held];
}

/** Whether a release needs no watch: its content came through one before, or none is asked for. */
export function provenAtSwitch(
  record: EnvironmentRecord,
  release: ReleaseRecord,
): "no watch" | "proven before" | undefined {
  if (release.type === "rollback" && isProven(record, release.digest)) return "proven before";
  return (release.settings ?? record.settings).watchMs === 0 ? "no watch" : undefined;
}
