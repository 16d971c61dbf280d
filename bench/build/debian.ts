import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { figure, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { needs, require } from "../lib/packages.ts";
import { run } from "../lib/process.ts";
import { bronzeSide } from "./sides.ts";

const defaultRuns = 5;
/** All that the recipe's four come to. */
const packages = "ca-certificates,gcc-12-base,libc6,libgcc-s1,libssl3,openssl,tzdata,zlib1g";

/** An image of 8 packages, from the lock file and the .debs in the cache; nothing else of the cache is used. */
export async function debian({ runs = defaultRuns, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.mmdebstrap);
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-recipe-"));
  const bronze = await bronzeSide();
  try {
    const project = join(folder, "recipe");
    await cp(join(import.meta.dirname, "recipe"), project, { recursive: true });
    say("the recipe once, which fetches the packages");
    await bronze.build(project);
    say(`${runs} times from lock and cache`);
    const ours: number[] = [];
    for (let i = 0; i < runs; i += 1) ours.push(await bronze.build(project, "--no-cache"));
    say("mmdebstrap once");
    const startedAt = performance.now();
    await run("mmdebstrap", [
      "--mode=root",
      "--variant=extract",
      `--include=${packages}`,
      "bookworm",
      join(folder, "root.tar"),
    ]);
    const theirs = round(performance.now() - startedAt);
    return {
      figures: [{ ...figure("debian_recipe_ms", "ms", 0.5, ours), goal: { atMost: 2000 } }],
      notes: [`debian: mmdebstrap --variant=extract of the same packages ${theirs} ms, with what it fetches`],
    };
  } finally {
    await bronze.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
