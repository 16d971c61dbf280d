import type { EnvironmentRecord, SetRecord } from "../ledger/state.ts";
import { blockOf } from "../ledger/revocations.ts";
import { digestNow } from "../ledger/secrets.ts";
import { rollbackTarget } from "./target.ts";
import { keepsVolumes } from "./volumes.ts";

/** Most contents of one environment that are kept warm. */
const mostWarm = 2;
/** Share of the machine's memory that must stay available for anything to be kept warm. */
const leastAvailableShare = 0.05;

export interface Retirement {
  readonly set: SetRecord;
  readonly reason: string;
}

/**
 * Which warm sets are to end now: taken back, expired, more than two (the rollback target goes first, then the newest),
 * or no memory left for them.
 */
export function planRetirements(
  record: EnvironmentRecord,
  memory: { readonly totalBytes: number; readonly availableBytes: number },
  nowMs: number,
): readonly Retirement[] {
  if (!hasWarm(record)) return [];
  const activeSet = record.active === null ? undefined : record.releases.get(record.active)?.set;
  const target = rollbackTarget(record);
  const wanted = target === undefined ? undefined : digestNow(record, target);
  const warm = [...record.sets.values()]
    .filter((set) => set.role === "warm" && set.name !== activeSet)
    .sort((a, b) => rank(b) - rank(a) || b.sinceMs - a.sinceMs || (a.name < b.name ? -1 : 1));
  function rank(set: SetRecord): number {
    return set.digest === wanted ? 1 : 0;
  }
  const short = memory.availableBytes < memory.totalBytes * leastAvailableShare;
  const retirements: Retirement[] = [];
  let kept = 0;
  for (const set of warm) {
    const reason = reasonToRetire(set);
    if (reason === undefined) kept += 1;
    else retirements.push({ set, reason });
  }
  return retirements;

  function reasonToRetire(set: SetRecord): string | undefined {
    if (hasTwin(record, set)) return "another set runs its content, since one of its secrets ended";
    if (set.takenBack) return "it was rolled back from";
    if (blockOf(record.revocations, set.content.artifact) !== undefined) return "its artifact is revoked";
    const volumes = keepsVolumes(record, set);
    if (volumes !== undefined) return volumes;
    if (record.settings.strategy.kind === "recreate") return "two contents are not to run side by side";
    // Whoever has a connection to it would go on with it.
    if (record.settings.route === null) return "without a route nothing is kept warm";
    if (nowMs >= set.sinceMs + record.settings.keepWarmMs) return "its time to be kept warm is over";
    if (kept >= mostWarm) return `${mostWarm} others are kept warm`;
    if (short) return "the machine has no memory to keep it warm";
    return undefined;
  }
}

function hasWarm({ sets }: EnvironmentRecord): boolean {
  for (const { role } of sets.values()) if (role === "warm") return true;
  return false;
}

/** Whether a set that is live, or newer, runs the same content. */
function hasTwin(record: EnvironmentRecord, set: SetRecord): boolean {
  return [...record.sets.values()].some(
    (other) =>
      other.digest === set.digest && (other.role === "live" || (other.role === "warm" && other.release > set.release)),
  );
}
