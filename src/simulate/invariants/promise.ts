import type { EnvironmentRecord } from "../../ledger/state.ts";

/**
 * How many instances are to answer requests at any moment: as many as are wanted of what is live. While a switch is under
 * way that may bring fewer, the smaller number; nothing where nothing is live, or where what is live stands back.
 */
export function promisedMinimum(record: EnvironmentRecord | undefined): number {
  if (record === undefined || record.live === null) return 0;
  const set = record.sets.get(record.live.set);
  if (set === undefined || set.yieldsTo !== null) return 0;
  const wanted = record.settings.instances;
  if (record.switching === null) return wanted;
  return Math.min(wanted, record.releases.get(record.switching.release)?.settings?.instances ?? wanted);
}
