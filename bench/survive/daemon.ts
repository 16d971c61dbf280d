import { createKillSite, operations } from "../../test/support/kills.ts";
import { killAtEveryEvent, type KillsOfOperation } from "../../test/support/kill-plan.ts";
import { stopsOnce } from "../lib/cleanup.ts";
import { percentile, type BenchOptions, type BenchResult } from "../lib/figures.ts";

/** `kill -9` of the daemon before and after each event of deploys and rollbacks, under load; each kill is checked through. */
export async function daemonKills({ say }: BenchOptions): Promise<BenchResult> {
  const ends: (() => unknown)[] = [];
  const stop = stopsOnce(async () => {
    for (const end of ends) await end();
  });
  try {
    const site = await createKillSite({ after: (end) => void ends.push(end as () => unknown) });
    const results: KillsOfOperation[] = [];
    for (const operation of operations) {
      say(`killing the daemon at every event of a ${operation}`);
      results.push(await killAtEveryEvent(site, operation, { together: false, say }));
    }
    const { requests, failed, examples } = await site.stopLoad();
    const points = results.flatMap((result) => result.points).length;
    const kills = results.flatMap((result) => result.kills);
    const restarts = kills.map(({ restartMs }) => restartMs);
    return {
      figures: [
        { name: "daemon_kills", value: kills.length, unit: "kills", runs: 1, goal: { atLeast: points } },
        { name: "failed_requests_daemon", value: failed, unit: "requests", runs: 1, goal: { atMost: 0 } },
      ],
      notes: [
        ...results.map(
          ({ operation, points: of, missed }) => `${operation}: ${of.length} points, ${missed.length} missed`,
        ),
        `${requests} requests under way; the next daemon answers after ${Math.round(percentile(restarts, 0.5))} ms (p50), ${Math.round(Math.max(...restarts))} ms at most`,
        ...examples,
      ],
      failed: results.some(({ missed }) => missed.length > 0),
    };
  } finally {
    await stop();
  }
}
