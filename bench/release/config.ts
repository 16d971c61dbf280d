import type { AppName } from "../../src/model/names.ts";
import { isSettled, nodeProject, startBronze } from "../lib/bronze.ts";
import { figure, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { instances, nodeCopies } from "../rollback/pair.ts";

const changes = 10;
const mostRatio = 1.3;

/**
 * From `config set` to four new instances that have all traffic, beside the cold start of the same four. Both end with
 * the daemon's answer, which comes when the router has confirmed the switch.
 */
export async function config({ runs = changes, say }: BenchOptions): Promise<BenchResult> {
  say("building the app");
  const bronze = await startBronze();
  try {
    const artifact = await bronze.build("node", nodeProject("1"), nodeCopies);
    // Something stays up, so that the daemon outlives what is taken down.
    await bronze.deployAs("keeper" as AppName, artifact, { route: null });
    const environment = { instances, keepWarmMs: 0 };
    const isAlone = () =>
      bronze.until(
        "only the live content runs",
        (status) => isSettled(status) && status.instances.length === instances,
      );
    const changed: number[] = [];
    const started: number[] = [];
    say(`${runs} cold starts of ${instances} instances, each with a change of config after it`);
    // The first of either warms what both sides read and is not counted.
    for (let i = -1; i < runs; i += 1) {
      const start = await bronze.deploy(artifact, {}, environment);
      await isAlone();
      const change = await bronze.config({ ROUND: `round ${i}` });
      await isAlone();
      await bronze.down();
      if (i < 0) continue;
      started.push(start.answeredAtMs - start.askedAtMs);
      changed.push(change.answeredAtMs - change.askedAtMs);
    }
    const measured = figure("config_change_ms", "ms", 0.5, changed, {
      name: "cold start of the same instances",
      values: started,
    });
    const ratio = { name: "config_change_ratio", value: measured.ratio ?? Number.NaN, unit: "", runs };
    return { figures: [measured, { ...ratio, goal: { atMost: mostRatio } }] };
  } finally {
    await bronze.stop();
  }
}
