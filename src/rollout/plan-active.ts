import { crashesOf } from "../ledger/crashes.ts";
import { settingsFor, type EnvironmentRecord, type ReleaseRecord, type SetRecord } from "../ledger/state.ts";
import type { EnvironmentSettings } from "../model/content.ts";
import { webProcess } from "../model/names.ts";
import { decide, type Decision } from "./decisions/decide.ts";
import { judgeFailure, type FailureInputs } from "./decisions/failure.ts";
import type { StrategyInputs } from "./decisions/strategy.ts";
import { outUntilReplacedMs } from "./health.ts";
import { isUsable, onlyWeb, readyInstances } from "./ready.ts";
import { planRefusal } from "./revoked.ts";
import type { Step } from "./step.ts";
import type { Targets } from "./targets.ts";
import { isTasking, planChecks, planPreparation } from "./tasks.ts";
import { isPlaced, isSwitchIssued, setView, type EnvironmentView, type InstanceView, type SetView } from "./view.ts";
import { planHandover } from "./volumes.ts";

/** What is to be done about the rollout under way, besides about its instances. */
export function planActive(
  record: EnvironmentRecord,
  view: EnvironmentView,
  targets: Targets,
  nowMs: number,
): readonly Step[] {
  if (record.active === null) return [];
  const release = record.releases.get(record.active);
  const set = release === undefined ? undefined : record.sets.get(release.set);
  if (release === undefined || set === undefined) return [];
  const toSwitch: Step = { kind: "switch", release: release.number, set: set.name };
  const wanted = settingsFor(record, set.name);
  // The switch was begun and is in effect: it is finished whatever came after, so that state never says otherwise.
  if (isSwitchIssued(record, view)) return [toSwitch];
  const refusal = planRefusal(record, release);
  if (refusal !== undefined) return [refusal];
  if (isTasking(record, release)) return [];
  const preparation = planPreparation(record, release, view);
  const before = preparation ?? planHandover(record, release, view);
  const own = setView(view, set.name);
  const failure = failureOf(release, set, before === undefined ? own : noInstances, nowMs);
  if (failure !== undefined) return [failure];
  if (before !== undefined) return before;
  const { plan, analysis } = targets;
  if (analysis.steps.length > 0) return analysis.steps;
  const count = plan?.counts.get(set.name) ?? wanted.instances;
  const ready = countReady(set, wanted.route !== null, view, nowMs);
  if (count > 0 && ready >= count) {
    const checks = planChecks(record, release, () => readyInstances(set, own.all, nowMs), view);
    if (checks !== undefined) return checks;
  }
  if (plan?.step !== undefined)
    return [{ kind: "step", release: release.number, ...plan.step, decisions: decisionsOf(targets) }];
  const isDue = plan === undefined ? release.progress.paused === null : plan.ready;
  return isDue && ready >= wanted.instances ? [{ ...toSwitch, decisions: decisionsOf(targets) }] : [];
}

/** By what the strategy goes on: what was measured, and how far its instances are. */
function decisionsOf({ basis, analysis }: Targets): readonly Decision[] {
  return [
    ...(analysis.decision === undefined ? [] : [analysis.decision]),
    ...(basis === undefined ? [] : [decide("strategy", withoutAnalysis(basis))]),
  ];
}

/** Of a rolling rollout, which has many steps, what is measured is not told with each. */
function withoutAnalysis({ strategy, input }: StrategyInputs): StrategyInputs {
  if (strategy.kind !== "rolling") return { strategy, input };
  const { analysis: _, ...plain } = strategy;
  return { strategy: plain, input };
}

const noInstances: SetView = { plain: 0, odd: [], all: [] };

/** Whether enough instances of a set are ready, and the router knows those where they are to have traffic. */
export function hasReady(
  set: SetRecord,
  wanted: Pick<EnvironmentSettings, "instances" | "route">,
  view: Pick<EnvironmentView, "sets" | "placed">,
  nowMs: number,
): boolean {
  return countReady(set, wanted.route !== null, view, nowMs) >= wanted.instances;
}

/** How many instances of a set are ready; -1 where they are to have traffic, and the router does not know all of those. */
function countReady(
  set: SetRecord,
  routed: boolean,
  view: Pick<EnvironmentView, "sets" | "placed">,
  nowMs: number,
): number {
  const own = setView(view, set.name);
  // Of a set that stands by each has to have answered lately.
  const isWarm = set.role === "warm";
  const ready = readyInstances(set, isWarm ? own.all : own.odd, nowMs);
  const placed = view.placed.get(set.name);
  if (routed && !ready.every(({ name }) => isPlaced(placed, name))) return -1;
  return isWarm ? ready.length : own.plain + ready.length;
}

function failureOf(release: ReleaseRecord, set: SetRecord, own: SetView, nowMs: number): Step | undefined {
  const instances = onlyWeb(own.odd);
  const isFresh = ({ name }: InstanceView): boolean => !set.proven.has(name) && !set.condemned.has(name);
  const { progress } = release;
  const isNext = set.role === "next";
  const isOut = ({ health }: InstanceView): boolean =>
    health.unhealthySinceMs !== null && nowMs >= health.unhealthySinceMs + outUntilReplacedMs;
  // It has had requests, or may have had them: what was well and is not any more is no better for waiting.
  const out =
    isNext && progress.step > 0 ? instances.find((one) => !set.condemned.has(one.name) && isOut(one)) : undefined;
  const overdueMs = nowMs - release.deadlineAtMs;
  const waitedFor =
    overdueMs < 0 ? undefined : (instances.find((instance) => !isUsable(instance)) ?? onlyWeb(own.all)[0]);
  const inputs: FailureInputs = {
    // Half-made ones and those that lost their supervisor say nothing about the content: they are replaced.
    exited: instances.find((one) => one.phase === "exited" && isFresh(one))?.name ?? null,
    late: instances.find((one) => isLate(one, set, nowMs) && isFresh(one))?.name ?? null,
    crashes: isNext ? crashesOf(set, webProcess).count : 0,
    crashed: instances.find(({ phase }) => phase === "exited")?.name ?? null,
    failing: out?.name ?? null,
    pausedMs: progress.paused === null ? null : nowMs - progress.paused.sinceMs,
    overdueMs,
    waitedFor: waitedFor?.name ?? null,
  };
  const { reason, instance } = judgeFailure(inputs);
  if (reason === null) return undefined;
  const found = instance === null ? undefined : own.all.find(({ name }) => name === instance);
  const decision = decide("failure", inputs);
  return { kind: "fail", release: release.number, instance: found?.name ?? null, reason, decision };
}

/** Past its deadline without a passed probe; one that a daemon has only just found is asked once before it is judged. */
export function isLate({ health, startedAtMs, address }: InstanceView, set: SetRecord, nowMs: number): boolean {
  const isAsked = health.probes > 0 || address === null;
  return health.state === "starting" && isAsked && nowMs >= startedAtMs + set.content.settings.health.deadlineMs;
}
