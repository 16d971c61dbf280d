import type { InstanceName, SetName } from "../../model/names.ts";
import type { Effect } from "../life.ts";
import type { Invariant } from "./invariant.ts";
import { isCounted, promisedMinimum } from "./promise.ts";

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
    const whenAsked = new WeakMap<Effect, number>();

    /** Sets that counted until they were to end, and may still have requests. */
    const retiring = new Set<SetName>();

    const counts = (set: SetName): boolean => isCounted(stage.record, set);
    const taking = (): readonly InstanceName[] =>
      stage.takingInstances((set) => retiring.has(set) || counts(set), counts);
    /** Has done well for as long as its content asks for, and a daemon has had the time to see it. */
    const isAvailable = (name: InstanceName): boolean => {
      const instance = machine.instance(name);
      if (instance === undefined || !stage.isSteady(name) || !stage.isFine(instance)) return false;
      const sinceMs = known.has(name) ? instance.readyAtMs : Math.max(instance.readyAtMs, startedAtMs);
      return sinceMs + instance.set.content.settings.minReadyMs + seenMs <= stage.nowMs;
    };
    const left = (gone: readonly InstanceName[]): number =>
      taking().filter((name) => !gone.includes(name) && (!stage.isSteady(name) || stage.isFine(machine.instance(name))))
        .length;
    const wanted = (): number => Math.min(promisedMinimum(stage.record), atSwitch, atScaling);
    function look(): void {
      const most = wanted();
      promised = most <= promised ? most : Math.min(most, Math.max(promised, reached()));
    }
    /** Those that are not to end. */
    const staying = (): readonly InstanceName[] =>
      taking().filter((name) => {
        const set = machine.instance(name)?.seen.set;
        return set !== undefined && !retiring.has(set) && !isCondemned(set, name) && isAvailable(name);
      });
    /** Of those that stay: what a set has beyond its number is about to end, whether or not that was said already. */
    function reached(): number {
      const kept = new Map<SetName, number>();
      for (const name of staying()) {
        const set = machine.instance(name)?.seen.set;
        if (set !== undefined) kept.set(set, (kept.get(set) ?? 0) + 1);
      }
      let sum = 0;
      for (const [set, has] of kept) sum += Math.min(has, stage.record?.sets.get(set)?.count ?? has);
      return sum;
    }
    /** Scaled in the middle, sets shrink by their numbers, whichever of their instances are ready, as a Deployment's do. */
    function scaled(instances: number): void {
      atScaling = instances < wantedInstances ? reached() : Number.POSITIVE_INFINITY;
      wantedInstances = instances;
    }
    /** Those that are to end were not to stay when that was decided. */
    const isCondemned = (set: SetName, name: InstanceName): boolean =>
      stage.record?.sets.get(set)?.condemned.has(name) === true;
    const isTaking = (name: InstanceName): boolean => {
      const set = machine.instance(name)?.seen.set;
      return set !== undefined && stage.router.taking(set).some(({ instance }) => instance === name);
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
        if (data.kind === "daemon.started") {
          startedAtMs = stage.nowMs;
          known = new Set([...(stage.record?.sets.values() ?? [])].flatMap(({ proven }) => [...proven]));
        }
        if (data.kind === "traffic.switching") atSwitch = promisedMinimum(stage.record);
        else if ((stage.record?.switching ?? null) === null) atSwitch = Number.POSITIVE_INFINITY;
        if (stage.active === undefined) atScaling = Number.POSITIVE_INFINITY;
        // What was to go live and may have answered already is no part of what is promised now.
        if (data.kind === "rollout.aborted") promised = Math.min(promised, staying().length);
        if (data.kind === "rollout.stepped" && data.counts !== undefined) scaled(data.instances ?? 0);
        if (data.kind === "set.retired") retiring.add(data.set);
        else if (data.kind === "set.removed") retiring.delete(data.set);
        look();
      },
      powerCut: () => void (promised = 0),
      issued: (effect) => void whenAsked.set(effect, wanted()),
      before(effect) {
        before = nobody;
        if (!matters(effect)) return;
        look();
        before = taking().filter(isAvailable);
      },
      after(effect) {
        if (before.length === 0) return;
        const gone = effect.kind === "remove" ? effect.instances : [];
        const now = new Set(taking());
        const lost = before.filter((name) => !now.has(name) || gone.includes(name));
        if (lost.length === 0) return;
        const count = left(gone);
        const least = Math.min(promised, wanted(), whenAsked.get(effect) ?? Number.POSITIVE_INFINITY);
        if (count < least)
          fail(`${effect.kind} takes ${lost.join(", ")} out of traffic: ${count} answer, ${least} are promised`);
      },
    };
  },
};
