import type { Invariant } from "./invariant.ts";

/** Time for a daemon to end what is due, in ms. */
const graceMs = 3_000;

/** A rollout ends by its deadline; where no daemon lived then, or one was hindered, as soon as one is free to. */
export const deadline: Invariant = {
  name: "deadline",
  watch(stage, fail) {
    return {
      look() {
        const { record } = stage;
        if (record === undefined || record.active === null) return;
        const release = record.releases.get(record.active);
        // While it stands still for a person its time does not run.
        if (release === undefined || release.progress.paused !== null) return;
        const lateMs = stage.clock.now() - release.deadlineAtMs;
        if (Math.min(lateMs, stage.unhinderedMs) > graceMs)
          fail(`the rollout of v${release.number} goes on ${lateMs} ms after its deadline`);
      },
    };
  },
};
