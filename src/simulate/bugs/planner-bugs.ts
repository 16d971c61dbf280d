import type { Planner } from "../../rollout/plan.ts";
import type { Step } from "../../rollout/step.ts";
import { allInstances } from "../../rollout/view.ts";
import type { Bug } from "./bug.ts";

/** A planner whose plans are changed. */
const changed =
  (change: (steps: readonly Step[], ...input: Parameters<Planner>) => readonly Step[]) =>
  (planner: Planner): Planner =>
  (record, view, nowMs) =>
    change(planner(record, view, nowMs), record, view, nowMs);

/** Bugs of what decides. */
export const plannerBugs: readonly Bug[] = [
  {
    name: "early-switch",
    what: "a release goes live as soon as one of its instances is ready",
    breaks: "ready-capacity",
    seed: 1,
    changes: {
      planner: changed((steps, record, view) => {
        const release = record.active === null ? undefined : record.releases.get(record.active);
        if (release === undefined || steps.some(({ kind }) => kind === "switch" || kind === "fail")) return steps;
        const isPlaced = (view.placed.get(release.set) ?? []).length > 0;
        return isPlaced ? [...steps, { kind: "switch", release: release.number, set: release.set }] : steps;
      }),
    },
  },
  {
    name: "hasty-place",
    what: "instances get requests as soon as they have an address, healthy or not",
    breaks: "intended-traffic",
    seed: 1,
    changes: {
      planner: changed((steps, _record, view) =>
        steps.flatMap((step) => {
          if (step.kind !== "place" || step.instances.length === 0) return [step];
          const all = allInstances(view)
            .filter(({ set, phase, address }) => set === step.set && phase === "running" && address !== null)
            .map(({ name }) => name)
            .sort();
          return all.join() === view.placed.get(step.set)?.join() ? [] : [{ ...step, instances: all }];
        }),
      ),
    },
  },
  {
    name: "heavy-canary",
    what: "the shares of a route's sets sum to more than all requests",
    breaks: "weights-sum",
    seed: 1,
    changes: {
      planner: changed((steps, record) =>
        steps.map((step) => {
          if (step.kind !== "route" || step.rule === null) return step;
          const { rule } = step;
          const others = [...record.sets.keys()].filter((set) => set !== rule.stable).slice(0, 2);
          return { ...step, rule: { ...rule, canaries: others.map((set) => ({ set, weight: 6_000 })) } };
        }),
      ),
    },
  },
  {
    name: "no-deadline",
    what: "the deadline of a rollout is not looked at",
    breaks: "deadline",
    seed: 1,
    changes: { planner: changed((steps) => steps.filter((step) => step.kind !== "fail")) },
  },
  {
    name: "wrong-way-back",
    what: "an automatic rollback goes to the oldest release in place of the one that was replaced",
    breaks: "rollback-target",
    seed: 1,
    changes: {
      planner: changed((steps, record) =>
        steps.map((step) => {
          const oldest = record.line[0];
          return step.kind === "take-back" && oldest !== undefined ? { ...step, to: oldest } : step;
        }),
      ),
    },
  },
  {
    name: "silent-end",
    what: "an instance that is one too many is ended without a word in the ledger",
    breaks: "ledger-explains",
    seed: 1,
    changes: {
      planner: changed((steps, _record, view) =>
        steps.map((step) => {
          if (step.kind !== "condemn" || step.type !== "surplus") return step;
          const set = allInstances(view).find(({ name }) => name === step.instance)?.set;
          return set === undefined ? step : { kind: "end", set, instance: step.instance, drainUntilMs: null };
        }),
      ),
    },
  },
  {
    name: "no-repair",
    what: "what answers a route is never put right",
    breaks: "intended-traffic",
    seed: 18,
    changes: { planner: changed((steps) => steps.filter((step) => step.kind !== "route")) },
  },
  {
    name: "no-replacement",
    what: "instances of what is live that ended are not started anew",
    breaks: "at-rest",
    seed: 1,
    changes: {
      planner: changed((steps, record) =>
        steps.filter((step) => step.kind !== "ensure" || record.sets.get(step.set)?.role !== "live"),
      ),
    },
  },
  {
    name: "no-retirement",
    what: "sets that were kept warm never end",
    breaks: "nothing-leaks",
    seed: 1,
    changes: { planner: changed((steps) => steps.filter((step) => step.kind !== "retire")) },
  },
  {
    name: "drain-at-once",
    what: "an instance that is to be replaced leaves before its replacement serves",
    breaks: "ready-capacity",
    seed: 1,
    changes: {
      planner: changed((steps, record) => [
        ...steps,
        ...[...record.sets.values()].flatMap((set) =>
          [...set.condemned]
            .filter(
              ([name, { type }]) =>
                (type === "drift" || type === "broken") &&
                !steps.some((step) => step.kind === "end" && step.instance === name),
            )
            .map(([instance, { atMs }]): Step => ({ kind: "end", set: set.name, instance, drainUntilMs: atMs })),
        ),
      ]),
    },
  },
];
