import { isSettled, launcher, startBronze, staticProject } from "./lib/bronze.ts";
import { figure, type BenchOptions, type BenchResult } from "./lib/figures.ts";
import { needs, require } from "./lib/packages.ts";
import { run } from "./lib/process.ts";

const defaultRuns = 40;

/** `./bronze status` as a whole process, against the same Node binary doing nothing. */
export async function cliBench({ runs, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox);
  const bronze = await startBronze();
  try {
    const artifact = await bronze.build("site", staticProject("content"), { busybox: needs.busybox.path });
    await bronze.deploy(artifact, {}, { instances: 4 });
    await bronze.until("all is healthy", isSettled);
    const count = runs ?? defaultRuns;
    const env = { ...process.env, BRONZE_STATE: bronze.places.state };
    say(`${count} times bronze status and node -e 0, in turn`);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let i = 0; i < count; i += 1) {
      ours.push(await timed(() => run(launcher, ["status"], { env })));
      theirs.push(await timed(() => run(process.execPath, ["-e", "0"], { env })));
    }
    return { figures: [figure("status_p50_ms", "ms", 0.5, ours, { name: "node -e 0", values: theirs })] };
  } finally {
    await bronze.stop();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
