import type { EnvironmentRecord } from "../ledger/state.ts";
import { webProcess, type ProcessName } from "../model/names.ts";
import { wantedInstances, workersOf } from "../model/processes.ts";
import { isUsable } from "./ready.ts";
import type { InstanceView } from "./view.ts";

/** Whether an environment is as it should be: all wanted instances do their work, nothing is on its way. */
export function isSettled(record: EnvironmentRecord, instances: readonly InstanceView[]): boolean {
  if (record.active !== null) return false;
  const set = record.live === null ? undefined : record.sets.get(record.live.set);
  if (set === undefined) return record.sets.size === 0;
  const own = instances.filter((instance) => instance.set === set.name);
  const processes = [webProcess, ...workersOf(set.content.settings)];
  const holds = (process: ProcessName): boolean =>
    own.filter((instance) => instance.process === process).length === wantedInstances(record.settings, process);
  return processes.every(holds) && own.every(isUsable) && set.condemned.size === 0;
}
