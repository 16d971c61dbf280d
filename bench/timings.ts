/**
 * `npm run -s timings -- FILE [--instances N]`: takes the times of real drivers (runc, HAProxy, SQLite) with a handful of
 * instances and writes them down for the simulator: `npm run -s simulate -- --timings FILE`. Needs root; some 10 s.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { timedSteps } from "../src/simulate/timings.ts";
import { percentile, round } from "./lib/figures.ts";
import { recordTimings } from "./lib/record-timings.ts";

const most = 50;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { instances: { type: "string", default: "8" } },
});
const instances = Number(values.instances);
const [file] = positionals;
if (file === undefined || !Number.isInteger(instances) || instances < 1 || instances > most) {
  console.error(`usage: npm run -s timings -- FILE [--instances N], N from 1 to ${most}`);
  process.exit(2);
}
const timings = await recordTimings(instances);
writeFileSync(file, `${JSON.stringify(timings)}\n`);
for (const step of timedSteps) {
  const all = timings.ms[step];
  const [p50, p95] = [percentile(all, 0.5), percentile(all, 0.95)];
  console.log(`${step.padEnd(7)} ${all.length} times, p50 ${round(p50)} ms, p95 ${round(p95)} ms`);
}
