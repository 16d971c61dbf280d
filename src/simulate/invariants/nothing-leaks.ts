import type { SetName } from "../../model/names.ts";
import { settingsFor } from "../../ledger/state.ts";
import type { Invariant } from "./invariant.ts";
import { isOfInstances } from "./promise.ts";

/** Most contents of an environment that are kept warm. */
const mostWarm = 2;

/**
 * A set never has more instances than it was ever wanted to have besides those that are to end, and at rest nothing is
 * there that no set needs: instances, places in the router, artifacts made ready. A daemon that ended waits for nothing.
 */
export const nothingLeaks: Invariant = {
  name: "nothing-leaks",
  watch(stage, fail) {
    const most = new Map<SetName, number>();
    /** Instances that were there when they were counted last, and whether what they are held against may be another since. */
    let counted = 0;
    let isOutdated = false;
    return {
      event({ data }) {
        isOutdated = true;
        const { record } = stage;
        if (record === undefined || isOfInstances(data)) return;
        for (const { name } of record.sets.values()) {
          const wanted = settingsFor(record, name).instances;
          if (wanted > (most.get(name) ?? 0)) most.set(name, wanted);
        }
      },
      look() {
        const { record, machine } = stage;
        if (record === undefined || (!isOutdated && counted === machine.started())) return;
        isOutdated = false;
        counted = machine.started();
        const counts = new Map<SetName, number>();
        for (const { seen } of machine.instances())
          if (seen.phase === "running") counts.set(seen.set, (counts.get(seen.set) ?? 0) + 1);
        for (const [name, count] of counts) {
          const set = record.sets.get(name);
          const bound = (most.get(name) ?? 0) + (set?.condemned.size ?? 0);
          if (set !== undefined && count > bound)
            fail(`${name} has ${count} instances, ${bound} are the most it is to have`);
        }
      },
      rest() {
        const { record, machine, router } = stage;
        const sets = record?.sets ?? new Map<SetName, never>();
        for (const { seen } of machine.instances())
          if (!sets.has(seen.set)) fail(`${seen.name} is left, and no set needs it`);
        const warm = [...sets.values()].filter(({ role }) => role === "warm").length;
        if (warm > mostWarm) fail(`${warm} sets are kept warm, ${mostWarm} are the most`);
        for (const set of router.placed()) if (!sets.has(set)) fail(`${set} has a place in the router, and is gone`);
        const needed = new Set([...sets.values()].map(({ content }) => content.artifact));
        for (const artifact of machine.prepared)
          if (!needed.has(artifact)) fail(`${artifact} is kept ready for nobody`);
      },
      ended(ended) {
        if (!ended) return fail("a daemon that was told to end does not");
        const timers = stage.life?.timers ?? 0;
        if (timers > 0) fail(`a daemon that was told to end still waits ${timers} times`);
      },
    };
  },
};
