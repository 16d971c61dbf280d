import type { LedgerEvent } from "../../ledger/event.ts";
import type { EnvironmentRecord, LedgerState, ReleaseRecord } from "../../ledger/state.ts";
import type { InstanceName, SetName } from "../../model/names.ts";
import { previewHost } from "../contents.ts";
import { isIntended } from "./intended-traffic.ts";
import type { Invariant } from "./invariant.ts";

type Starts = Extract<LedgerEvent["data"], { kind: "instances.starting" }>;

/** Whatever a daemon changes in the world follows from what the ledger says at that moment. */
export const ledgerExplains: Invariant = {
  name: "ledger-explains",
  watch(stage, fail) {
    const announced = new Map<string, Pick<Starts, "count" | "ordinals">>();
    let newest = 0;

    function judgeEnd(name: InstanceName): void {
      const there = stage.machine.instance(name);
      if (there?.seen.phase !== "running") return;
      const set = stage.record?.sets.get(there.seen.set);
      if (set === undefined || set.role === "ending" || set.condemned.has(name)) return;
      fail(`${name} is ended, and no event says why`);
    }

    return {
      event({ data }) {
        if (data.kind === "instances.starting") announced.set(`${data.set} ${data.process ?? "web"}`, data);
        else if (data.kind === "release.created") {
          if (data.release !== newest + 1) fail(`v${data.release} follows v${newest}`);
          newest = data.release;
        }
      },
      powerCut: () => void (newest = stage.record?.lastRelease ?? 0),
      issued(effect) {
        const { record } = stage;
        switch (effect.kind) {
          case "ensure": {
            const said = announced.get(`${effect.set} ${effect.process}`);
            if (said === undefined || said.count !== effect.count || !areSame(said.ordinals, effect.ordinals))
              fail(`${effect.count} instances of ${effect.set} are started, and no event says so`);
            return;
          }
          case "remove":
            return effect.instances.forEach(judgeEnd);
          case "place": {
            const known = record?.sets.get(effect.set);
            if (effect.instances.length > 0 && known === undefined)
              fail(`${effect.set} is placed, and the ledger knows no such set`);
            return;
          }
          case "route": {
            const { rule } = effect;
            if (rule === null) return;
            const { active } = stage;
            if (rule.route.host === previewHost ? rule.stable === active?.set : isMain(record, rule.stable)) {
              for (const { set, weight } of rule.canaries ?? [])
                if (weight > 0 && !isIntended(record, set))
                  fail(`${weight} of 10000 requests are led to ${set}, and no event says so`);
                else if (
                  set === active?.set &&
                  isCanary(record, active) &&
                  weight !== 0 &&
                  weight !== active.progress.weight
                )
                  fail(`${weight} of 10000 requests are led to ${set}, ${active.progress.weight} is its step`);
              return;
            }
            return fail(`the route is led to ${rule.stable}, and no event says so`);
          }
          default:
        }
      },
      rest() {
        const theirs = stage.controller?.state;
        if (theirs !== undefined && !isSame(summarised(theirs), summarised(stage.state)))
          fail(`a daemon's state is not what the ledger says: ${summary(theirs)}; ${summary(stage.state)}`);
      },
    };
  },
};

const isMain = (record: EnvironmentRecord | undefined, set: SetName): boolean =>
  set === record?.live?.set || set === record?.switching?.set;

const isCanary = (record: EnvironmentRecord | undefined, { settings }: ReleaseRecord): boolean =>
  (settings ?? record?.settings)?.strategy.kind === "canary";

/** What of a state follows from the ledger alone. */
function summarised({ environments, seq }: LedgerState): object {
  return { seq, environments };
}

function summary(state: LedgerState): string {
  return JSON.stringify(summarised(state), (_, value: unknown) =>
    value instanceof Map
      ? [...(value as Map<unknown, unknown>)]
      : value instanceof Set
        ? [...(value as Set<unknown>)]
        : value,
  );
}

type Fields = { readonly [name: string]: unknown };

/** Whether two values are equal all through, in the same order; what both have in common is not looked into. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Map) return b instanceof Map && areSame([...a.keys(), ...a.values()], [...b.keys(), ...b.values()]);
  if (a instanceof Set) return b instanceof Set && areSame([...a], [...b]);
  if (Array.isArray(a)) return Array.isArray(b) && areSame(a, b);
  return !Array.isArray(b) && haveSame(a as Fields, b as Fields);
}

function haveSame(some: Fields, others: Fields): boolean {
  const names = Object.keys(some);
  return areSame(names, Object.keys(others)) && names.every((name) => isSame(some[name], others[name]));
}

function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  if (some.length !== others.length) return false;
  for (let index = 0; index < some.length; index += 1) if (!isSame(some[index], others[index])) return false;
  return true;
}
