import type { InstanceName } from "../../model/names.ts";
import type { Invariant } from "./invariant.ts";
import { promisedMinimum } from "./promise.ts";

/**
 * No step takes an instance that does well out of traffic where that leaves fewer than promised. What a fault takes away
 * is no step's doing: an instance that a fault hit lately counts as if it answered.
 */
export const readyCapacity: Invariant = {
  name: "ready-capacity",
  watch(stage, fail) {
    const { machine } = stage;
    /** What was reached of the promise: a number that was raised is promised once it is there. */
    let promised = 0;
    let before: readonly InstanceName[] = [];

    const doWell = (): readonly InstanceName[] =>
      stage.takingInstances().filter((name) => stage.isSteady(name) && stage.isFine(machine.instance(name)));
    const capacity = (gone: readonly InstanceName[]): number =>
      stage
        .takingInstances()
        .filter((name) => !gone.includes(name) && (!stage.isSteady(name) || stage.isFine(machine.instance(name))))
        .length;
    function look(): void {
      promised = Math.min(promisedMinimum(stage.record), Math.max(promised, capacity([])));
    }

    return {
      look,
      powerCut: () => void (promised = 0),
      before(effect) {
        if (effect.kind === "ensure") return;
        look();
        before = doWell();
      },
      after(effect) {
        if (effect.kind === "ensure") return;
        const gone = effect.kind === "remove" ? effect.instances : [];
        const now = new Set(stage.takingInstances());
        const lost = before.filter((name) => !now.has(name) || gone.includes(name));
        if (lost.length === 0) return;
        const left = capacity(gone);
        const wanted = Math.min(promised, promisedMinimum(stage.record));
        if (left < wanted)
          fail(`${effect.kind} takes ${lost.join(", ")} out of traffic: ${left} answer, ${wanted} are promised`);
      },
    };
  },
};
