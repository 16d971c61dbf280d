import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { figure, percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { makeProject, type Project } from "./project.ts";
import { compared } from "./rows.ts";
import { startSides } from "./sides.ts";

const defaultRuns = 11;

/**
 * Nothing has changed since the last build. The launcher answers by itself as long as everything looks as it did; where it
 * may not, as in a folder that is no clone, the command looks: its time is a figure of its own.
 */
export function noChange(options: BenchOptions): Promise<BenchResult> {
  return rebuilds(options, "no_change", { atMost: 250 }, { atMost: 0.2 }, () => Promise.resolve());
}

/** One line of one source file has changed since the last build. */
export function oneLine(options: BenchOptions): Promise<BenchResult> {
  return rebuilds(options, "one_line", undefined, { atMost: 0.25 }, (project) => project.changeLine());
}

async function rebuilds(
  { runs = defaultRuns, say }: BenchOptions,
  name: string,
  goal: { readonly atMost: number } | undefined,
  ratioGoal: { readonly atMost: number },
  change: (project: Project) => Promise<void>,
): Promise<BenchResult> {
  const sides = await startSides(say);
  const { bronze, buildkit, buildah } = sides;
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-project-"));
  try {
    const project = await makeProject("app", join(folder, "app"));
    const order = [bronze, buildkit, buildah];
    const times = new Map(order.map((side) => [side, [] as number[]]));
    const byCommand: number[] = [];
    say(`${name}: ${runs} builds on each side, in turn`);
    for (let run = -1; run < runs; run += 1) {
      for (const side of order) {
        await change(project);
        const ms = await side.build(project.folder);
        if (run >= 0) times.get(side)?.push(ms);
      }
      // With an option it is for the command.
      if (run >= 0 && goal !== undefined) byCommand.push(await bronze.build(project.folder, "--progress", "plain"));
    }
    const of = (side: (typeof order)[number]) => times.get(side) ?? [];
    return {
      figures: [
        ...compared(name, of(bronze), of(buildkit), goal, ratioGoal),
        ...(goal === undefined ? [] : [{ ...figure(`${name}_command_ms`, "ms", 0.5, byCommand), goal }]),
      ],
      notes: [`${name}: buildah ${round(percentile(of(buildah), 0.5))} ms`],
    };
  } finally {
    await sides.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
