import { headerOf } from "../../src/load/answer.ts";
import { KeptConnection } from "../../src/load/exchange.ts";
import { startBronze } from "../lib/bronze.ts";
import { round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { canary, instances, versions } from "./pair.ts";

const percents = [1, 5, 10, 50];
const requests = 20_000;
const connections = 32;

/** A canary that waits for a person at each step: the share of requests that it really answers. About a minute. */
export async function weights({ say }: BenchOptions): Promise<BenchResult> {
  say("building two versions of the app");
  const bronze = await startBronze("bronze-bench-rollout");
  try {
    const [first, second] = await versions(bronze);
    await bronze.deploy(first, {}, { instances });
    const strategy = canary(percents, null, false);
    const done = bronze.deploy(second, {}, { instances, strategy });
    // A failure is told where it is waited for.
    done.catch(() => {});
    const notes: string[] = [];
    let worst = 0;
    for (const percent of percents) {
      await Promise.race([waits(percent), done]);
      const found = await count(bronze.address);
      const share = (100 * (found.get("2") ?? 0)) / requests;
      worst = Math.max(worst, Math.abs(share - percent));
      const answers = [...found.values()].reduce((sum, one) => sum + one, 0);
      if (answers !== requests) throw new Error(`${answers} right answers of ${requests}`);
      notes.push(`weight ${percent} %: ${found.get("2") ?? 0} of ${requests}, ${round(share)} %`);
      say(notes.at(-1) ?? "");
      await bronze.cli("rollout", "resume", "--app", "shop", "--environment", "production");
    }
    await done;
    return {
      figures: [
        { name: "weight_error_pct", value: round(worst), unit: "points", runs: percents.length, goal: { atMost: 1 } },
      ],
      notes,
    };
  } finally {
    await bronze.stop();
  }

  function waits(percent: number): Promise<unknown> {
    return bronze.until(
      `the canary waits at ${percent} %`,
      ({ rollout }) => rollout?.weight === percent * 100 && rollout.paused !== null,
    );
  }
}

/** Right answers by version. */
async function count(address: { readonly host: string; readonly port: number }): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const request = Buffer.from("GET / HTTP/1.1\r\nhost: bench\r\n\r\n");
  let left = requests;
  const lane = async (): Promise<void> => {
    const connection = new KeptConnection(address.host, address.port);
    while (left > 0) {
      left -= 1;
      const outcome = await connection.ask(request, { timeoutMs: 5_000 });
      if (typeof outcome === "string" || outcome.status !== 200) continue;
      const version = headerOf(outcome.head, "x-version") ?? "";
      found.set(version, (found.get(version) ?? 0) + 1);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: connections }, lane));
  return found;
}
