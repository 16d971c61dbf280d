import type { EnvironmentRecord } from "../../ledger/state.ts";
import type { SetName } from "../../model/names.ts";
import type { Invariant } from "./invariant.ts";

/** Time for a daemon to put right what answers a route, in ms. */
const repairMs = 2_000;
/** Time for a daemon to see that an instance fails, in ms: three probes that time out. */
const noticeMs = 20_000;

/**
 * Requests come to instances of what is live, or is being switched to, that have been healthy. Where a fault left the
 * route elsewhere a daemon puts it right at once.
 */
export const intendedTraffic: Invariant = {
  name: "intended-traffic",
  watch(stage, fail) {
    let wrongSinceMs: number | null = null;
    let isOff = false;

    function wrong(finding: string): void {
      wrongSinceMs ??= stage.nowMs;
      if (Math.min(stage.nowMs - wrongSinceMs, stage.unhinderedMs) >= repairMs) fail(finding);
    }

    return {
      powerCut: () => void (isOff = true),
      started: () => void (isOff = false),
      request(at, status) {
        const { record } = stage;
        if (at === null) {
          // Where nothing is left of what is live, or the router itself is gone, nobody can answer.
          if (status === 404 && stage.live !== null && !isOff) wrong("no route leads to what is live");
          return;
        }
        const { set, instance } = at;
        if (!isIntended(record, set)) return wrong(`a request came to ${instance}: ${set} is not to answer`);
        wrongSinceMs = null;
        const there = stage.machine.instance(instance);
        if (there?.seen.phase !== "running") return;
        if (there.readyAtMs > stage.nowMs) return fail(`a request came to ${instance}, which was never healthy`);
        if (!stage.isFine(there) && stage.isSteady(instance) && stage.unhinderedMs > noticeMs && hasOthers(set))
          fail(`a request came to ${instance}, which has failed for long beside others that do well`);
      },
    };

    function hasOthers(set: SetName): boolean {
      return stage.router
        .taking(set)
        .some(({ instance }) => stage.isSteady(instance) && stage.isFine(stage.machine.instance(instance)));
    }
  },
};

/** Whether requests may come to a set: to what is live or switched to, and to what a rollout gives a share. */
export function isIntended(record: EnvironmentRecord | undefined, set: SetName): boolean {
  if (record === undefined) return false;
  if (record.live?.set === set || record.switching?.set === set || record.sets.get(set)?.role === "leaving")
    return true;
  const active = record.active === null ? undefined : record.releases.get(record.active);
  if (active?.set !== set || active.type !== "deploy") return false;
  const { strategy } = active.settings ?? record.settings;
  return strategy.kind === "rolling" || (strategy.kind === "canary" && active.progress.weight > 0);
}
