import { figure, percentile, round, type Figure, type Goal } from "../lib/figures.ts";

/** The median of ours against BuildKit's, and the ratio as a figure of its own, for it has a goal. */
export function compared(
  name: string,
  ours: readonly number[],
  theirs: readonly number[],
  goal: Goal | undefined,
  ratioGoal: Goal,
): readonly Figure[] {
  const row = figure(`${name}_ms`, "ms", 0.5, ours, { name: "BuildKit", values: theirs });
  const ratio = round(percentile(ours, 0.5) / percentile(theirs, 0.5));
  return [
    goal === undefined ? row : { ...row, goal },
    { name: `${name}_ratio`, value: ratio, unit: "", runs: ours.length, goal: ratioGoal },
  ];
}
