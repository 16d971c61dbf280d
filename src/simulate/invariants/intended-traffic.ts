import type { EnvironmentRecord } from "../../ledger/state.ts";
import type { InstanceName, SetName } from "../../model/names.ts";
import type { Invariant } from "./invariant.ts";
import { isCounted } from "./promise.ts";

/** Time for a daemon to put right what answers a route, in ms. */
const repairMs = 2_000;
/** Time for a daemon to see that an instance fails, in ms: three probes that time out. */
const noticeMs = 20_000;
/** Longest time until a probe has seen that an instance does well, in ms. */
const seenMs = 300;

/**
 * Requests come to instances of what is live, or is being switched to, that have been healthy. Where a fault left the
 * route elsewhere a daemon puts it right at once.
 */
export const intendedTraffic: Invariant = {
  name: "intended-traffic",
  watch(stage, fail) {
    let wrongSinceMs: number | null = null;
    /** Since when some requests find nobody, though others are answered. */
    let lostSinceMs: number | null = null;
    let isOff = false;

    function wrong(finding: string): void {
      wrongSinceMs ??= stage.nowMs;
      if (Math.min(stage.nowMs - wrongSinceMs, stage.unhinderedMs) >= repairMs) fail(finding);
    }

    return {
      powerCut: () => void (isOff = true),
      started: () => void (isOff = false),
      look() {
        if (lostSinceMs !== null && whoElse() === undefined) lostSinceMs = null;
      },
      request(at, status) {
        const { record } = stage;
        if (at === null) {
          const other = status === 503 ? whoElse() : undefined;
          if (other !== undefined) lost(other);
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

    /** Who could answer the requests that come to a set of which nobody takes any; undefined: none do, or nobody could. */
    function whoElse(): InstanceName | undefined {
      const { record, router } = stage;
      for (const { route, stable, canaries = [], hold } of router.rules()) {
        const rest = canaries.reduce((left, { weight }) => left - weight, 10_000);
        if (route.host !== null || hold === true || rest === 0 || router.taking(stable).length > 0) continue;
        for (const set of record?.sets.keys() ?? []) {
          if (!isCounted(record, set)) continue;
          const well = router.taking(set).find((name) => {
            const there = stage.machine.instance(name);
            return stage.isSteady(name) && stage.isFine(there) && (there?.readyAtMs ?? 0) + seenMs <= stage.nowMs;
          });
          if (well !== undefined) return well;
        }
      }
      return undefined;
    }

    function lost(other: InstanceName): void {
      lostSinceMs ??= stage.nowMs;
      if (Math.min(stage.nowMs - lostSinceMs, stage.unhinderedMs) >= repairMs)
        fail(`requests come to a set of which nobody takes any, and ${other} does well`);
    }

    function hasOthers(set: SetName): boolean {
      return stage.router
        .taking(set)
        .some((name) => stage.isSteady(name) && stage.isFine(stage.machine.instance(name)));
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
