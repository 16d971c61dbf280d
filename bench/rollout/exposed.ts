import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../../src/model/canonical.ts";
import { isSettled, startBronze, type Bronze } from "../lib/bronze.ts";
import { percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { startPaced, type PacedLoad } from "./paced.ts";
import { canary, instances, versions } from "./pair.ts";

const wantedRuns = 20;
const perSecond = 500;
const percent = 10;
const badShare = 0.05;
/** A run that finds nothing by then is a failure of what is measured. */
const holdMs = 120_000;
/** Answers that were on their way when the weight became 0. */
const afterMs = 300;

interface Run {
  readonly failed: number;
  readonly requests: number;
  readonly ms: number;
  readonly reason: string;
}

/**
 * A canary that answers some requests with 500, judged by what the router counts: how many of its answers were errors
 * before it had no requests any more. About 15 s a run.
 */
export async function exposed({ runs = wantedRuns, say }: BenchOptions): Promise<BenchResult> {
  say("building two versions of the app");
  const bronze = await startBronze("bronze-bench-rollout");
  let load: PacedLoad | undefined;
  try {
    const [first, second] = await versions(bronze, badShare);
    await bronze.deploy(first, {}, { instances });
    load = startPaced(bronze.address, perSecond);
    await sleep(5_000);
    const results: Run[] = [];
    for (let number = 1; number <= runs; number += 1) {
      const result = await once(bronze, load, second, number);
      results.push(result);
      say(`${number}: ${result.failed} of its ${result.requests} answers failed in ${round(result.ms / 1000)} s`);
      await bronze.until("what was aborted has gone", isSettled);
    }
    const failed = results.map((one) => one.failed);
    const mean = failed.reduce((sum, one) => sum + one, 0) / failed.length;
    const times = results.map(({ ms }) => ms);
    return {
      figures: [{ name: "canary_exposed", value: round(mean), unit: "requests", runs, goal: { atMost: 30 } }],
      notes: [
        `failed requests in a run: ${Math.min(...failed)} to ${Math.max(...failed)}, p50 ${percentile(failed, 0.5)}; from its weight to 0: p50 ${round(percentile(times, 0.5) / 1000)} s, most ${round(Math.max(...times) / 1000)} s`,
        `${Math.round(load.rate())} requests/s in the last run`,
        `rule, of the last run: ${results.at(-1)?.reason ?? ""}`,
      ],
    };
  } finally {
    await load?.stop();
    await bronze.stop();
  }
}

/** @param number makes the content another each time: one that was found bad is not released again */
async function once(bronze: Bronze, load: PacedLoad, artifact: Digest, number: number): Promise<Run> {
  const strategy = canary([percent], holdMs, true);
  let beganAt = performance.now();
  let endedAt = beganAt;
  let reason = "";
  const config = { RUN: String(number) };
  load.reset();
  const end = await bronze
    .deploy(artifact, {}, { instances, strategy }, { config }, ({ step, text }) => {
      if (step === "rollout.stepped") beganAt = performance.now();
      if (step === "rollout.aborted") endedAt = performance.now();
      if (step === "decision.made") reason = text;
    })
    .then(
      () => "it went live",
      () => undefined,
    );
  await sleep(afterMs);
  if (end !== undefined) throw new Error(`the canary that fails was not aborted: ${end}`);
  const { requests, failed } = load.answered.get("2") ?? { requests: 0, failed: 0 };
  const others = [...load.answered].filter(([version, row]) => version !== "2" && row.failed > 0);
  if (others.length > 0) throw new Error(`requests failed that the canary did not answer: ${JSON.stringify(others)}`);
  return { failed, requests, ms: endedAt - beganAt, reason };
}
