import { isOutdated } from "../ledger/secrets.ts";
import type { SetRecord } from "../ledger/state.ts";
import { webProcess } from "../model/names.ts";
import type { Health } from "./health.ts";
import type { InstanceView } from "./view.ts";

/** A warm set goes live only on probes not older than this, in ms. */
const freshProbeMs = 2_000;

/** Whether an instance does its work: whether it may answer requests, or has run for long enough. */
export function isUsable(instance: InstanceView): boolean {
  return instance.phase === "running" && (instance.health.state === "healthy" || instance.health.state === "unknown");
}

/** Instances of a set that count for a switch: healthy for long enough, and of a warm set probed lately. */
export function readyInstances(
  set: SetRecord,
  instances: readonly InstanceView[],
  nowMs: number,
): readonly InstanceView[] {
  return instances.filter(
    (instance) =>
      instance.process === webProcess &&
      instance.phase === "running" &&
      !set.condemned.has(instance.name) &&
      !isOutdated(set, instance) &&
      instance.health.state === "healthy" &&
      nowMs - (instance.health.healthySinceMs ?? nowMs) >= set.content.settings.minReadyMs &&
      (set.role !== "warm" || nowMs - (instance.health.lastPassedAtMs ?? 0) <= freshProbeMs),
  );
}

/** Whether a set is warm but cannot be counted on: nothing of it runs, or one instance passed no probe lately. */
export function isStale(set: SetRecord, instances: readonly InstanceView[], nowMs: number): boolean {
  if (set.role !== "warm") return false;
  const own = runningWeb(set, instances).filter(({ name }) => !set.condemned.has(name));
  const failed = ({ state, lastPassedAtMs }: Health): boolean =>
    state === "unhealthy" || (lastPassedAtMs !== null && nowMs - lastPassedAtMs > freshProbeMs);
  return own.length === 0 || own.some(({ health }) => failed(health));
}

/** Whether a warm set is stale only because nobody has asked it lately, as after the daemon was held up. */
export function isUnasked(set: SetRecord, instances: readonly InstanceView[], nowMs: number): boolean {
  if (!isStale(set, instances, nowMs)) return false;
  const own = runningWeb(set, instances);
  return own.length > 0 && own.every(({ health }) => health.state !== "unhealthy" && health.failures === 0);
}

function runningWeb(set: SetRecord, instances: readonly InstanceView[]): readonly InstanceView[] {
  return instances.filter((one) => one.set === set.name && one.process === webProcess && one.phase === "running");
}

/** Those that answer requests. */
export const onlyWeb = (instances: readonly InstanceView[] = []): readonly InstanceView[] =>
  instances.every(isWeb) ? instances : instances.filter(isWeb);

const isWeb = ({ process }: InstanceView): boolean => process === webProcess;
