import { settingsFor } from "../ledger/state.ts";
import type { Stage } from "./stage.ts";

/** Whether desired is observed, and nothing is on its way. */
export function isAtRest(stage: Stage): boolean {
  return stage.controller !== null && unrest(stage) === undefined;
}

/** What is not as it is to be, in words; undefined: everything is. */
export function unrest(stage: Stage): string | undefined {
  const { record, machine, router } = stage;
  if (record === undefined) return undefined;
  if (record.active !== null) return `the rollout of v${record.active} is under way`;
  if (record.switching !== null) return `a switch to v${record.switching.release} is under way`;
  if (record.watch !== null && !record.watch.warned && record.watch.held === null)
    return `v${record.watch.release} is watched`;
  const byRole = (role: string): string | undefined => [...record.sets.values()].find((set) => set.role === role)?.name;
  const unfinished = byRole("next") ?? byRole("ending");
  if (unfinished !== undefined) return `${unfinished} is neither live nor gone`;
  for (const { seen } of machine.instances()) {
    const set = record.sets.get(seen.set);
    if (set === undefined) return `${seen.name} is of no set that there is`;
    if (set.condemned.has(seen.name)) return `${seen.name} is to end`;
    if (seen.phase !== "running") return `${seen.name} is ${seen.phase}`;
    if (seen.orphaned) return `${seen.name} has no supervisor`;
  }
  const { live } = record;
  const rules = router.rules();
  if (live === null) return rules.length > 0 ? "a route leads somewhere though nothing is live" : undefined;
  const [rule] = rules;
  if (rules.length !== 1 || rule === undefined) return `${rules.length} routes, 1 is to be`;
  if (rule.stable !== live.set || rule.canaries !== undefined || rule.hold === true)
    return `the route leads to ${JSON.stringify(rule)}, to ${live.set} alone it is to lead`;
  const wanted = settingsFor(record, live.set).instances;
  const taking = new Set(router.taking(live.set));
  let fine = 0;
  let count = 0;
  for (const instance of machine.instances()) {
    if (instance.seen.set !== live.set) continue;
    count += 1;
    if (stage.isFine(instance) && taking.has(instance.seen.name)) fine += 1;
  }
  if (count !== wanted || fine !== wanted || taking.size !== wanted)
    return `${count} instances of ${live.set}, ${fine} of them answer, ${taking.size} are asked; ${wanted} are wanted`;
  return undefined;
}
