import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import type { RollbackReadiness, WorkerStatus } from "../model/api/status.ts";
import { splitInstanceName } from "../model/names.ts";
import { wantedInstances, workersOf } from "../model/processes.ts";
import { isUsable } from "../rollout/ready.ts";
import type { FleetInstance } from "./fleet.ts";

/** The processes without traffic of what is live. @param instances of the live set; null: only the ledger is known */
export function workerStatus(
  record: EnvironmentRecord,
  instances: readonly FleetInstance[] | null,
): readonly WorkerStatus[] {
  const set = record.live === null ? undefined : record.sets.get(record.live.set);
  if (set === undefined) return [];
  return workersOf(set.content.settings).map((process) => {
    const proven = [...set.proven].filter(
      (name) => splitInstanceName(name)?.process === process && !set.condemned.has(name),
    );
    const own = instances?.filter((one) => one.process === process && !set.condemned.has(one.name));
    return {
      process,
      wanted: wantedInstances(record.settings, process),
      healthy: own === undefined ? proven.length : own.filter(isUsable).length,
      running: own === undefined ? proven.length : own.filter(({ phase }) => phase === "running").length,
    };
  });
}

/** What of a rollback's target is not kept warm and starts at the switch. */
export function startsAtSwitch(
  record: EnvironmentRecord,
  target: ReleaseRecord | undefined,
): RollbackReadiness["workers"] {
  if (target === undefined) return [];
  return workersOf(target.content.settings)
    .map((process) => ({ process, count: wantedInstances(record.settings, process) }))
    .filter(({ count }) => count > 0);
}

export function workerWarnings(workers: readonly WorkerStatus[]): readonly string[] {
  return workers
    .filter(({ running, wanted }) => running < wanted)
    .map(({ process, running, wanted }) => `${process}: ${running} of ${wanted} instances run`);
}
