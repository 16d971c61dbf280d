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
    /** What was promised when the switch under way began: what is asked for after that comes after it. */
    let atSwitch = Number.POSITIVE_INFINITY;
    let before: readonly InstanceName[] = [];

    const doWell = (): readonly InstanceName[] =>
      stage.takingInstances().filter((name) => stage.isSteady(name) && stage.isFine(machine.instance(name)));
    const capacity = (gone: readonly InstanceName[]): number =>
      stage
        .takingInstances()
        .filter((name) => !gone.includes(name) && (!stage.isSteady(name) || stage.isFine(machine.instance(name))))
        .length;
    const wanted = (): number => Math.min(promisedMinimum(stage.record), atSwitch);
    function look(): void {
      const most = wanted();
      promised = most <= promised ? most : Math.min(most, Math.max(promised, capacity(condemned())));
    }
    function ofLive(): number {
      const live = stage.record?.live?.set;
      if (live === undefined) return 0;
      return stage.router.taking(live).filter(({ instance }) => stage.isFine(machine.instance(instance))).length;
    }
    /** Those that are to end were not to stay when that was decided. */
    const condemned = (): readonly InstanceName[] =>
      [...(stage.record?.sets.values() ?? [])].flatMap((set) => [...set.condemned.keys()]);

    return {
      look,
      event({ data }) {
        if (data.kind === "traffic.switching") atSwitch = promisedMinimum(stage.record);
        else if (stage.record?.switching == null) atSwitch = Number.POSITIVE_INFINITY;
        // What was to go live and may have answered already is no part of what is promised now.
        if (data.kind === "rollout.aborted") promised = Math.min(promised, ofLive());
        look();
      },
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
        if (left < Math.min(promised, wanted()))
          fail(`${effect.kind} takes ${lost.join(", ")} out of traffic: ${left} answer, ${promised} are promised`);
      },
    };
  },
};
