import type { LedgerEvent } from "../../ledger/event.ts";
import type { Invariant } from "./invariant.ts";

/**
 * What a daemon was told is on disk is there for every daemon after it, in order, whatever became of the one before. An
 * intent counts from the next append that waits for the disk.
 */
export const nothingForgotten: Invariant = {
  name: "nothing-forgotten",
  watch(stage, fail) {
    /** At its number; what a daemon wrote and died of was told to nobody. */
    const acknowledged: (LedgerEvent | undefined)[] = [];
    let intents: readonly LedgerEvent[] = [];

    function judge(): void {
      let last = 0;
      for (const event of stage.journal.read()) {
        last = event.seq;
        const expected = acknowledged[event.seq];
        if (expected === undefined || (event.hash === expected.hash && event.data === expected.data)) continue;
        return fail(`event ${event.seq}, ${expected.data.kind}, was acknowledged, and another is in its place`);
      }
      const gone = acknowledged.slice(last + 1).find((event) => event !== undefined);
      if (gone !== undefined) fail(`event ${gone.seq}, ${gone.data.kind}, was acknowledged, and is gone`);
    }

    return {
      acknowledged(events, isIntent) {
        if (isIntent) return void (intents = [...intents, ...events]);
        for (const event of intents) acknowledged[event.seq] = event;
        for (const event of events) acknowledged[event.seq] = event;
        intents = [];
      },
      powerCut: () => void (intents = []),
      started: judge,
      rest: judge,
    };
  },
};
