import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeBase } from "../build/base.ts";
import { makeProject } from "../build/project.ts";
import { bronzeSide } from "../build/sides.ts";
import { percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";

const defaultRuns = 21;

/**
 * What bill of materials, provenance and signature add to a build after one line of one source file has changed: two state
 * folders, one of which is told to do without (the variable is there for this).
 */
export async function overhead({ runs = defaultRuns, say }: BenchOptions): Promise<BenchResult> {
  const layout = await nodeBase(say);
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-project-"));
  const sides: Awaited<ReturnType<typeof bronzeSide>>[] = [];
  try {
    const project = await makeProject("app", join(folder, "app"));
    sides.push(await bronzeSide(layout), await bronzeSide(layout, { BRONZE_EVIDENCE: "off" }));
    const times = sides.map((): number[] => []);
    say(`overhead: ${runs} builds with evidence and as many without, in turn`);
    for (let run = -2; run < runs; run += 1) {
      for (const [index, side] of sides.entries()) {
        await project.changeLine();
        const ms = await side.build(project.folder);
        if (run >= 0) times[index]?.push(ms);
      }
    }
    const [on = 0, off = 1] = times.map((list) => percentile(list, 0.5));
    return {
      figures: [
        {
          name: "evidence_overhead_pct",
          value: round((100 * (on - off)) / off),
          unit: "%",
          runs,
          goal: { atMost: 25 },
        },
      ],
      notes: [`overhead: ${round(on)} ms with evidence, ${round(off)} ms without, medians of whole processes`],
    };
  } finally {
    for (const side of sides) await side.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
