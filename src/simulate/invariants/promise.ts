import type { EventData } from "../../ledger/event.ts";
import type { EnvironmentRecord } from "../../ledger/state.ts";
import type { SetName } from "../../model/names.ts";
import type { Strategy } from "../../model/strategy.ts";
import { resolvedUnavailable } from "./fenceposts.ts";

/** How what a rolling rollout left behind gives way where what is live says nothing of it. */
const defaultRolling = { kind: "rolling", maxSurge: "25%", maxUnavailable: "25%" } as const;

/** Events that tell of instances, and leave what is wanted of their sets as it is. */
const ofInstances: ReadonlySet<EventData["kind"]> = new Set<EventData["kind"]>([
  "instances.starting",
  "instance.healthy",
  "instance.condemned",
  "instance.exited",
  "instance.removed",
]);

export const isOfInstances = ({ kind }: EventData): boolean => ofInstances.has(kind);

/**
 * How many instances are to answer requests at any moment: as many as are wanted of what is live. While a switch is under
 * way that may bring fewer, the smaller number; while a rolling rollout is, as many fewer as it may. Nothing where nothing is live, or where what is live
 * stands back.
 */
export function promisedMinimum(record: EnvironmentRecord | undefined): number {
  if (record === undefined || record.live === null) return 0;
  const set = record.sets.get(record.live.set);
  if (set === undefined || set.yieldsTo !== null) return 0;
  const promised = byStrategy(record);
  if (record.switching === null) return promised;
  return Math.min(promised, record.releases.get(record.switching.release)?.settings?.instances ?? promised);
}

function byStrategy(record: EnvironmentRecord): number {
  const { instances, strategy } = record.settings;
  const active = record.active === null ? undefined : record.releases.get(record.active);
  const coming = active?.settings ?? record.settings;
  if (active?.type === "deploy" && coming.strategy.kind === "rolling")
    return Math.min(instances, lessBy(coming.strategy, coming.instances));
  for (const { role } of record.sets.values())
    if (role === "leaving") return lessBy(strategy.kind === "rolling" ? strategy : defaultRolling, instances);
  return instances;
}

/** Sets whose instances count towards the promise: a canary only adds to what is live. */
export function isCounted(record: EnvironmentRecord | undefined, set: SetName): boolean {
  if (record === undefined) return false;
  if (record.live?.set === set || record.switching?.set === set || record.sets.get(set)?.role === "leaving")
    return true;
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return active?.set === set && isRolling(record);
}

function isRolling(record: EnvironmentRecord): boolean {
  const active = record.active === null ? undefined : record.releases.get(record.active);
  return active?.type === "deploy" && (active.settings ?? record.settings).strategy.kind === "rolling";
}

const lessBy = (strategy: Extract<Strategy, { kind: "rolling" }>, desired: number): number =>
  Math.max(0, desired - resolvedUnavailable(strategy, desired));
