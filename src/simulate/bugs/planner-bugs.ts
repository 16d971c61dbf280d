import { wholeWeight } from "../../model/strategy.ts";
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
    name: "deaf-analysis",
    what: "what is measured of a new content is taken for good, whatever it is",
    breaks: "analysis-heeded",
    seed: 159,
    changes: {
      planner: (planner) => (record, view, nowMs) => {
        const { analysis } = view;
        if (analysis === undefined) return planner(record, view, nowMs);
        const metrics = analysis.metrics.map((metric) => ({ ...metric, phase: "successful" as const, lacks: false }));
        return planner(record, { ...view, analysis: { ...analysis, metrics } }, nowMs);
      },
    },
  },
  {
    name: "hasty-place",
    what: "instances get requests as soon as they have an address, healthy or not",
    breaks: "intended-traffic",
    seed: 17,
    changes: {
      planner: changed((steps, _record, view) =>
        steps.flatMap((step) => {
          const placed = (step.kind === "place" ? view.placed.get(step.set) : undefined) ?? [];
          if (step.kind !== "place" || (step.add.length === 0 && step.remove.length === placed.length)) return [step];
          const all = allInstances(view)
            .filter(({ set, phase, address }) => set === step.set && phase === "running" && address !== null)
            .map(({ name }) => name)
            .sort();
          const add = all.filter((name) => !placed.includes(name));
          const remove = placed.filter((name) => !all.includes(name));
          return add.length + remove.length === 0 ? [] : [{ ...step, add, remove }];
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
      planner: changed((steps) =>
        steps.map((step) => {
          if (step.kind !== "route" || step.rule?.canaries === undefined) return step;
          const canaries = step.rule.canaries.map(({ set, weight }) => ({ set, weight: weight + wholeWeight / 2 }));
          return { ...step, rule: { ...step.rule, canaries: [...canaries, ...canaries.slice(0, 1)] } };
        }),
      ),
    },
  },
  {
    name: "no-deadline",
    what: "the deadline of a rollout is not looked at",
    breaks: "deadline",
    seed: 8,
    changes: { planner: changed((steps) => steps.filter((step) => step.kind !== "fail")) },
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
    name: "no-drain",
    what: "an instance that leaves ends at once, whatever requests it has",
    breaks: "no-request-lost",
    seed: 2,
    changes: {
      planner: changed((steps) => steps.map((step) => (step.kind === "end" ? { ...step, drainUntilMs: null } : step))),
    },
  },
  {
    name: "no-repair",
    what: "what answers a route is never put right",
    breaks: "intended-traffic",
    seed: 78,
    changes: { planner: changed((steps) => steps.filter((step) => step.kind !== "route")) },
  },
  {
    name: "no-replacement",
    what: "instances of what is live that ended are not started anew",
    breaks: "at-rest",
    seed: 2,
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
    seed: 11,
    changes: { planner: changed((steps) => steps.filter((step) => step.kind !== "retire")) },
  },
  {
    name: "drain-at-once",
    what: "an instance that is to be replaced leaves before its replacement serves",
    breaks: "ready-capacity",
    seed: 2,
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
