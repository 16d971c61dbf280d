import type { Invariant } from "./invariant.ts";

/** Time after the power was cut in which nothing is asked of what was under way, in ms. */
const offMs = 60_000;

/**
 * No request is lost to what a daemon does: one that an instance has is not cut off before the time is over that its
 * content gives requests to end. What a fault or the content itself ends is nobody's doing.
 */
export const noRequestLost: Invariant = {
  name: "no-request-lost",
  watch(stage, fail) {
    let offAtMs = Number.NEGATIVE_INFINITY;
    return {
      powerCut: () => void (offAtMs = stage.nowMs),
      broken({ instance }, { afterMs, drainMs, isSteady }) {
        if (!isSteady || stage.isTouched(instance) || stage.nowMs - offAtMs < offMs) return;
        if (afterMs < drainMs)
          fail(`a request that ${instance} had for ${afterMs} ms was cut off: ${drainMs} ms are its own`);
      },
    };
  },
};
