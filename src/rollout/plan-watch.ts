import { crashesOf } from "../ledger/crashes.ts";
import type { EnvironmentRecord, SetRecord } from "../ledger/state.ts";
import { webProcess } from "../model/names.ts";
import { endingWorker } from "./processes.ts";
import { isUsable, onlyWeb } from "./ready.ts";
import type { Step } from "./step.ts";
import { isBlocked, isQuarantined, rollbackTarget } from "./target.ts";
import { isIrreversible } from "./tasks.ts";
import { setView, type EnvironmentView, type SetView } from "./view.ts";
import { judgeWatch } from "./watch.ts";

/** All instances of a watched release out of order for so long: it is taken back, in ms. */
const deadInWatchMs = 3_000;

/**
 * What becomes of a release under watch: taken back where the rule fires, held for a person where going back would leave
 * behind what its release command did, proven when its time has passed.
 */
export function planWatch(
  record: EnvironmentRecord,
  view: Pick<EnvironmentView, "recent" | "sets">,
  nowMs: number,
): readonly Step[] {
  const { watch } = record;
  if (watch === null || record.live === null) return [];
  const release = record.releases.get(watch.release);
  const set = record.sets.get(record.live.set);
  // What stands back answers nothing, and is not to blame for it.
  if (release === undefined || set === undefined || set.yieldsTo !== null) return [];
  const verdict = judgeWatch(view.recent, watch.baseline);
  const dead = allDown(set, setView(view, set.name), watch.startedAtMs, nowMs) ?? endingWorker(set);
  const previous = watch.previous === null ? undefined : record.releases.get(watch.previous);
  // What is revoked, or proved bad itself, does not come back, however bad what came for it.
  const isUnfit = previous !== undefined && (isBlocked(record, previous) || isQuarantined(record, previous));
  const to = isUnfit ? (rollbackTarget(record)?.number ?? null) : watch.previous;
  if (verdict.fires || dead !== undefined) {
    const figures = verdict.fires ? verdict.figures : null;
    const reason = verdict.fires ? verdict.reason : (dead ?? "");
    if (to !== null && release.type === "deploy" && isIrreversible(release)) {
      if (watch.held !== null) return [];
      return [{ kind: "hold", release: release.number, to, figures: verdict.figures, reason }];
    }
    // A first deploy has nothing to go back to; a rollback brought back what is wanted: both are only warned about.
    if (to !== null && release.type === "deploy")
      return [{ kind: "take-back", release: release.number, to, figures, reason }];
    if (!watch.warned) return [{ kind: "warn", release: release.number, figures: verdict.figures, reason }];
  }
  // What is held waits for a person: time alone proves nothing any more.
  if (watch.held === null && nowMs >= watch.startedAtMs + record.settings.watchMs)
    return [{ kind: "prove", release: release.number, reason: "watched" }];
  return [];
}

/** In words, when every instance that has been healthy is out of order, and has been for a while. */
function allDown(set: SetRecord, { plain, odd }: SetView, sinceMs: number, nowMs: number): string | undefined {
  const instances = onlyWeb(odd);
  if (plain > 0 || instances.some(isUsable)) return undefined;
  // Those that ended are soon gone: that they keep ending is told by the set. A first one's replacement has its chance.
  const crashes = crashesOf(set, webProcess);
  if (crashes.count > 1 && crashes.atMs >= sinceMs && nowMs - crashes.atMs >= deadInWatchMs)
    return "its instances keep ending";
  if (instances.length === 0) return undefined;
  const failing = instances.filter(
    ({ phase, health }) => phase === "running" && health.unhealthySinceMs !== null && nowMs >= health.unhealthySinceMs,
  ).length;
  const exited = instances.filter(({ exit }) => exit !== null && nowMs - exit.atMs >= deadInWatchMs).length;
  if (failing === 0 && exited < instances.length) return undefined;
  return failing > 0 ? `all instances that run (${failing}) fail their probes` : `all ${exited} instances ended`;
}
