import type { LedgerEvent } from "../../ledger/event.ts";
import type { Invariant } from "./invariant.ts";

/**
 * What a daemon was told is on disk is there for every daemon after it, in order, whatever became of the one before. An
 * intent counts from the next append that waits for the disk.
 */
export const nothingForgotten: Invariant = {
  name: "nothing-forgotten",
  watch(stage, fail) {
    const acknowledged: LedgerEvent[] = [];
    let intents: LedgerEvent[] = [];

    function judge(): void {
      let index = 0;
      for (const event of stage.journal.read()) {
        const expected = acknowledged[index];
        index += 1;
        if (expected === undefined) return;
        if (event.seq !== expected.seq || event.hash !== expected.hash || event.data !== expected.data)
          return fail(`event ${expected.seq}, ${expected.data.kind}, was acknowledged, and another is in its place`);
      }
      const lost = acknowledged[index];
      if (lost !== undefined) fail(`event ${lost.seq}, ${lost.data.kind}, was acknowledged, and is gone`);
    }

    return {
      acknowledged(events, isIntent) {
        if (isIntent) return void intents.push(...events);
        // Those that a daemon wrote and died of were told to nobody, and are there all the same.
        const first = intents[0] ?? events[0];
        for (const event of stage.journal.read(acknowledged.length))
          if (first !== undefined && event.seq < first.seq) acknowledged.push(event);
          else break;
        acknowledged.push(...intents, ...events);
        intents = [];
      },
      powerCut: () => void (intents = []),
      started: judge,
      rest: judge,
    };
  },
};
