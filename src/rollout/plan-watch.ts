import { crashesOf } from "../ledger/crashes.ts";
import type { EnvironmentRecord, SetRecord } from "../ledger/state.ts";
import { webProcess } from "../model/names.ts";
import { endingWorker } from "./processes.ts";
import { isUsable, onlyWeb } from "./ready.ts";
import type { Step } from "./step.ts";
import { isBlocked, isQuarantined, rollbackTarget } from "./target.ts";
import { isIrreversible } from "./tasks.ts";
import { isSwitchIssued, setView, type EnvironmentView, type SetView } from "./view.ts";
import { judgeWatch } from "./watch.ts";
import { decide } from "./decisions/decide.ts";
import { decideWatch, type WatchInputs } from "./decisions/watch.ts";

type WatchStep = Extract<Step, { kind: "take-back" | "hold" | "warn" | "prove" }>;

/** All instances of a watched release out of order for so long: it is taken back, in ms. */
const deadInWatchMs = 3_000;

/**
 * What becomes of a release under watch: taken back where the rule fires, held for a person where going back would leave
 * behind what its release command did, proven when its time has passed. While a switch is being made that nobody can call
 * back any more it is not taken back: what comes takes its place, or the next plan does so.
 */
export function planWatch(
  record: EnvironmentRecord,
  view: Pick<EnvironmentView, "recent" | "sets" | "rules">,
  nowMs: number,
): readonly Step[] {
  const step = watchStep(record, view, nowMs);
  if (step === undefined || (step.kind === "take-back" && isSwitchIssued(record, view))) return noSteps;
  return [step];
}

const noSteps: readonly WatchStep[] = [];

/** What the watch comes to now, whatever else is under way; undefined: it goes on, or there is none. */
export function watchStep(
  record: EnvironmentRecord,
  view: Pick<EnvironmentView, "recent" | "sets">,
  nowMs: number,
): WatchStep | undefined {
  const { watch } = record;
  if (watch === null || record.live === null) return undefined;
  const release = record.releases.get(watch.release);
  const set = record.sets.get(record.live.set);
  // What stands back answers nothing, and is not to blame for it.
  if (release === undefined || set === undefined || set.yieldsTo !== null) return undefined;
  const previous = watch.previous === null ? undefined : record.releases.get(watch.previous);
  // What is revoked does not come back, however bad what came for it; nor does what proved bad itself.
  const isUnfit = previous !== undefined && (isBlocked(record, previous) || isQuarantined(record, previous));
  const to = isUnfit ? (rollbackTarget(record)?.number ?? null) : watch.previous;
  const inputs: WatchInputs = {
    type: release.type,
    recent: view.recent,
    baseline: watch.baseline,
    down: allDown(set, setView(view, set.name), watch.startedAtMs, nowMs) ?? endingWorker(set) ?? null,
    to,
    irreversible: isIrreversible(release),
    warned: watch.warned,
    held: watch.held !== null,
    watchedMs: nowMs - watch.startedAtMs,
    watchMs: record.settings.watchMs,
  };
  const { verdict, reason } = decideWatch(inputs);
  if (verdict === "wait") return undefined;
  const { fires, figures } = judgeWatch(view.recent, watch.baseline);
  const decided = { release: release.number, reason, decision: decide("watch", inputs) };
  switch (verdict) {
    case "take back":
      return { kind: "take-back", to: to ?? 0, figures: fires ? figures : null, ...decided };
    case "hold":
      return { kind: "hold", to: to ?? 0, figures, ...decided };
    case "warn":
      return { kind: "warn", figures, ...decided };
    case "prove":
      return { kind: "prove", ...decided, reason: "watched" };
  }
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
