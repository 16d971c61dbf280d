import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { run } from "../lib/process.ts";
import { makeProject } from "./project.ts";
import { compared } from "./rows.ts";
import { startSides } from "./sides.ts";

const defaultRuns = 5;
/** What each of the three steps is to need on the bare host. */
const stepCpuMs = 300;

/** The step cache is empty; the base is there. */
export async function cold({ runs = defaultRuns, say }: BenchOptions): Promise<BenchResult> {
  const sides = await startSides(say);
  const { bronze, buildkit, buildah } = sides;
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-project-"));
  try {
    const project = await makeProject("cold", join(folder, "cold"));
    const cpuMs = await calibrate(project.folder, join(folder, "bare"));
    say(`cold: ${runs} builds on each side, in turn; each step needs ${Math.round(cpuMs)} ms of CPU on the bare host`);
    const order = [bronze, buildkit, buildah];
    const times = new Map(order.map((side) => [side, [] as number[]]));
    for (let run = -1; run < runs; run += 1) {
      for (const side of order) {
        await side.forget();
        const ms = await side.build(project.folder);
        if (run >= 0) times.get(side)?.push(ms);
      }
    }
    const of = (side: (typeof order)[number]) => times.get(side) ?? [];
    return {
      figures: compared("cold", of(bronze), of(buildkit), undefined, { atMost: 0.8 }),
      notes: [
        `cold: buildah ${round(percentile(of(buildah), 0.5))} ms; of each, ${Math.round(3 * cpuMs)} ms is the CPU time of the three steps on the bare host`,
      ],
    };
  } finally {
    await sides.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Finds how far work.sh has to count for a step to need 300 ms of CPU on the bare host, with the shell of this machine, and
 * writes it into the project. @returns what it needs then
 */
async function calibrate(project: string, bare: string): Promise<number> {
  await run("cp", ["-a", project, bare]);
  const cpuMs = async (turns: number): Promise<number> => {
    await writeFile(join(bare, "turns"), `${turns}\n`);
    const samples: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      // The second line of `times` is what the children of the shell have used: user and system time.
      const [, line = ""] = (await run("sh", ["-c", "sh work.sh bare; times"], { cwd: bare })).split("\n");
      samples.push(line.split(" ").reduce((sum, part) => sum + milliseconds(part), 0));
    }
    return percentile(samples, 0.5);
  };
  const few = 100_000;
  const many = 400_000;
  const base = await cpuMs(few);
  const perTurn = ((await cpuMs(many)) - base) / (many - few);
  const turns = Math.max(1, Math.round(few + (stepCpuMs - base) / perTurn));
  await writeFile(join(project, "turns"), `${turns}\n`);
  return cpuMs(turns);
}

/** Of `0m0.297000s`. */
function milliseconds(text: string): number {
  const [, minutes = "0", seconds = "0"] = /^([0-9]+)m([0-9.]+)s$/.exec(text) ?? [];
  return Number(minutes) * 60_000 + Number(seconds) * 1000;
}
