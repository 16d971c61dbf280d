import type { LoadReport } from "../../load/protocol.ts";
import { machineMs } from "../../load/probe.ts";
import { formatDuration } from "../../model/quantities.ts";
import type { Product } from "./product.ts";
import { commitVersion, demoTimes, versions } from "./project.ts";
import { failuresOf, rowOf, type Row } from "./rows.ts";
import type { Screen } from "./screen.ts";
import { startVersionProbe, type Traffic } from "./traffic.ts";

export interface Stage {
  readonly screen: Screen;
  readonly product: Product;
  readonly project: string;
  readonly instances: number;
}

/** Commits a version's source and says so. */
export async function commit({ screen, project }: Stage, number: number): Promise<void> {
  const version = versions[number - 1];
  if (version === undefined) throw new RangeError(`the demo has no version ${number}`);
  screen.note(`source: commit ${await commitVersion(project, version)}, "${version.title}"`);
}

function sayTraffic(screen: Screen, report: LoadReport): void {
  const { requests, failed, versions: answered } = report;
  const shares = Object.entries(answered).map(
    ([version, count]) => `version ${version}: ${count.toLocaleString("en")}`,
  );
  screen.note(
    `${requests.toLocaleString("en")} requests, ${failed.toLocaleString("en")} failed; answered by ${shares.join(", ")}`,
  );
  for (const failure of failuresOf(report).slice(0, 8)) screen.note(`  ${failure}`);
}

/** Version 2 replaces version 1, and nobody notices. */
export async function replace(stage: Stage, traffic: Traffic): Promise<Row> {
  const { screen, product } = stage;
  await commit(stage, 2);
  let status = 1;
  const report = await traffic.during(async () => void ({ status } = await product.bronze("up")));
  sayTraffic(screen, report);
  const now = await product.status();
  screen.promise(
    status === 0 && now.live?.release === 2,
    `version 2 is live on ${stage.instances} new instances; those of version 1 are kept warm`,
  );
  screen.promise(report.failed === 0, `not one request failed while it took over`);
  return rowOf("v1 → v2", report, now.figures);
}

/** Version 3 never becomes healthy: it gets no traffic and changes nothing. */
export async function refuse(stage: Stage, traffic: Traffic): Promise<Row> {
  const { screen, product } = stage;
  await commit(stage, 3);
  let status = 0;
  const report = await traffic.during(async () => void ({ status } = await product.bronze("up")));
  sayTraffic(screen, report);
  const now = await product.status();
  screen.promise(status === 5, "`bronze up` says so: exit status 5");
  screen.promise(
    now.live?.release === 2 && report.versions["3"] === undefined,
    "version 3 never got a request; version 2 is still live",
  );
  screen.promise(report.failed === 0, "not one request failed meanwhile");
  return rowOf("v3, never healthy", report, now.figures);
}

/** Version 4 is healthy, goes live, then fails: it is taken back without anybody asking. */
export async function takeBack(stage: Stage, traffic: Traffic): Promise<Row> {
  const { screen, product } = stage;
  await commit(stage, 4);
  let status = 1;
  let backAfterMs = Number.NaN;
  const report = await traffic.during(async () => {
    ({ status } = await product.bronze("up"));
    const liveAt = performance.now();
    await product.until(
      "version 4 is taken back",
      demoTimes.watchMs + 5000,
      ({ live, rollout }) => live !== null && live.release > 4 && rollout === null,
    );
    backAfterMs = performance.now() - liveAt;
  });
  sayTraffic(screen, report);
  const now = await product.status();
  screen.promise(status === 0 && (report.versions["4"] ?? 0) > 0, "version 4 passed its health check and went live");
  screen.promise(
    now.live?.of === 2,
    `it was taken back ${formatDuration(backAfterMs)} later, by itself: v${now.live?.release} is the content of v2` +
      (now.figures.deploy_rollback_time_ms === null
        ? ""
        : `; the way back took ${formatDuration(now.figures.deploy_rollback_time_ms)}`),
  );
  screen.promise(
    report.failed > 0,
    `its errors cost ${report.failed.toLocaleString("en")} requests: none hidden, none asked again`,
  );
  return rowOf("v4, fails under traffic, taken back", report, now.figures);
}

/** A person goes back: milliseconds, from warm instances. */
export async function goBack(stage: Stage, traffic: Traffic): Promise<Row> {
  const { screen, product } = stage;
  await product.until("version 1 is warm", 5000, ({ rollback }) => rollback.ready);
  const probe = await startVersionProbe(await product.address());
  try {
    let status = 1;
    let sinceMs = 0;
    const report = await traffic.during(async () => {
      sinceMs = machineMs();
      ({ status } = await product.bronze("rollback"));
    });
    const takeover = await probe.takeover(0, sinceMs);
    sayTraffic(screen, report);
    const now = await product.status();
    const took = now.figures.deploy_rollback_time_ms;
    screen.promise(
      status === 0 && now.live?.of === 1,
      `v${now.live?.release} is the content of v1, whole: artifact, settings, all of it`,
    );
    screen.promise(
      took !== null && took < 1000,
      `from the daemon's being asked to every new request answered by version 1: ${took === null ? "not measured" : formatDuration(took)}`,
    );
    screen.note(
      takeover.atMs === null
        ? "the prober saw no end of the old version"
        : `seen by a prober (${Math.round(takeover.probesPerSecond).toLocaleString("en")} requests/s): ${formatDuration(takeover.atMs - sinceMs)} after the command was typed, its start included`,
    );
    screen.promise(
      takeover.atMs !== null && takeover.failed === 0,
      "after that no other version answered any of the prober's requests",
    );
    screen.promise(report.failed === 0, "not one request failed");
    return rowOf("rollback", report, now.figures);
  } finally {
    await probe.stop();
  }
}
