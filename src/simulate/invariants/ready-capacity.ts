import type { InstanceName, SetName } from "../../model/names.ts";
import type { Effect } from "../life.ts";
import type { Invariant } from "./invariant.ts";
import { isCounted, isOfInstances, promisedMinimum } from "./promise.ts";

const nobody: readonly InstanceName[] = [];
/** Longest time until a probe has seen that an instance does well, in ms. */
const seenMs = 300;

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
    /** What a rolling rollout that was scaled down in its middle keeps for the time being. */
    let atScaling = Number.POSITIVE_INFINITY;
    /** Of the rolling rollout under way. */
    let wantedInstances = 0;
    let before: readonly InstanceName[] = [];
    /** When the daemon came up, ms since the epoch, and what one before it had seen answer: of others it cannot know since when. */
    let startedAtMs = 0;
    let known: ReadonlySet<InstanceName> = new Set();

    /** What was promised when something was asked for that a slow router does later: nobody can call it back. */
    const whenAsked = new Map<Effect, number>();

    /** By what the ledger says, which events and the loss of some alone change. */
    let minimum = 0;

    /** Sets that counted until they were to end, and may still have requests. */
    const retiring = new Set<SetName>();

    const counts = (set: SetName): boolean => isCounted(stage.record, set);
    const taking = (): readonly InstanceName[] =>
      stage.takingInstances((set) => retiring.has(set) || counts(set), counts);
    /** Has done well for as long as its content asks for, and a daemon has had the time to see it. */
    const isAvailable = (name: InstanceName, instance = machine.instance(name)): boolean => {
      if (instance === undefined || !stage.isFine(instance)) return false;
      const sinceMs = known.has(name) ? instance.readyAtMs : Math.max(instance.readyAtMs, startedAtMs);
      const isLong = sinceMs + instance.set.content.settings.minReadyMs + seenMs <= stage.nowMs;
      return isLong && stage.isSteady(name, instance);
    };
    const left = (gone: readonly InstanceName[]): number =>
      taking().filter((name) => !gone.includes(name) && (!stage.isSteady(name) || stage.isFine(machine.instance(name))))
        .length;
    const wanted = (): number => Math.min(minimum, atSwitch, atScaling);
    function look(): void {
      const most = wanted();
      if (most <= promised) promised = most;
      else {
        const names = taking();
        // Where no more have requests than that, no more were reached.
        if (names.length > promised) promised = Math.min(most, Math.max(promised, reached(names)));
      }
    }
    /** Those that are not to end, by their sets. */
    function staying(names: readonly InstanceName[]): ReadonlyMap<SetName, number> {
      const kept = new Map<SetName, number>();
      for (const name of names) {
        const instance = machine.instance(name);
        if (instance === undefined || !isAvailable(name, instance)) continue;
        const { set } = instance.seen;
        if (!retiring.has(set) && !isCondemned(set, name)) kept.set(set, (kept.get(set) ?? 0) + 1);
      }
      return kept;
    }
    /** Of those that stay: what a set has beyond its number is about to end, whether or not that was said already. */
    function reached(names: readonly InstanceName[]): number {
      let sum = 0;
      for (const [set, has] of staying(names)) sum += Math.min(has, stage.record?.sets.get(set)?.count ?? has);
      return sum;
    }
    /** Scaled in the middle, sets shrink by their numbers, whichever of their instances are ready, as a Deployment's do. */
    function scaled(instances: number): void {
      atScaling = instances < wantedInstances ? reached(taking()) : Number.POSITIVE_INFINITY;
      wantedInstances = instances;
    }
    /** Those that are to end were not to stay when that was decided. */
    const isCondemned = (set: SetName, name: InstanceName): boolean =>
      stage.record?.sets.get(set)?.condemned.has(name) === true;
    const isTaking = (name: InstanceName): boolean => {
      const set = machine.instance(name)?.seen.set;
      return set !== undefined && stage.router.taking(set).includes(name);
    };
    /** Whether it may take requests away from somebody: most that end or are drained have none any more. */
    const matters = (effect: Effect): boolean => {
      switch (effect.kind) {
        case "ensure":
          return false;
        case "place":
        case "route":
          return true;
        default:
          return effect.instances.some(isTaking);
      }
    };

    return {
      look,
      event({ data }) {
        const { record } = stage;
        if (!isOfInstances(data)) minimum = promisedMinimum(record);
        if (data.kind === "daemon.started") {
          startedAtMs = stage.nowMs;
          known = new Set([...(record?.sets.values() ?? [])].flatMap(({ proven }) => [...proven]));
        }
        if (data.kind === "traffic.switching") atSwitch = minimum;
        else if ((record?.switching ?? null) === null) atSwitch = Number.POSITIVE_INFINITY;
        if ((record?.active ?? null) === null) atScaling = Number.POSITIVE_INFINITY;
        // What was to go live and may have answered already is no part of what is promised now.
        if (data.kind === "rollout.aborted") {
          const kept = [...staying(taking()).values()];
          promised = Math.min(
            promised,
            kept.reduce((sum, has) => sum + has, 0),
          );
        }
        if (data.kind === "rollout.stepped" && data.counts !== undefined) scaled(data.instances ?? 0);
        if (data.kind === "set.retired") retiring.add(data.set);
        else if (data.kind === "set.removed") retiring.delete(data.set);
        look();
      },
      powerCut() {
        minimum = promisedMinimum(stage.record);
        promised = 0;
      },
      issued: (effect) => void whenAsked.set(effect, wanted()),
      before(effect) {
        before = nobody;
        if (!matters(effect)) return;
        look();
        before = taking();
        // Of one that has ended nobody can tell any more whether it did well.
        if (effect.kind === "remove")
          before = before.filter((name) => effect.instances.includes(name) && isAvailable(name));
      },
      after(effect) {
        if (before.length === 0) return;
        const gone = effect.kind === "remove" ? effect.instances : nobody;
        const lost = effect.kind === "remove" ? before : missing(before, taking()).filter((name) => isAvailable(name));
        if (lost.length === 0) return;
        const count = left(gone);
        const least = Math.min(promised, wanted(), whenAsked.get(effect) ?? Number.POSITIVE_INFINITY);
        if (count < least)
          fail(`${effect.kind} takes ${lost.join(", ")} out of traffic: ${count} answer, ${least} are promised`);
      },
    };
  },
};

/** Those that are in the first list alone. */
function missing(before: readonly InstanceName[], now: readonly InstanceName[]): readonly InstanceName[] {
  // As a rule all are there still, in the same order, and often nothing has changed.
  if (before === now || before.every((name, index) => name === now[index])) return nobody;
  const there = new Set(now);
  return before.filter((name) => !there.has(name));
}
