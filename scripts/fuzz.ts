/**
 * Gives garbage to everything that reads what others wrote. `npm run fuzz -- --cases 100000 [--seed N] [--only NAME]
 * [--path PATH]`; a failure prints the seed, the shrunk case and the command that replays it.
 */
import { parseArgs } from "node:util";
import { apiTarget } from "../test/fuzz/api.ts";
import { startDaemon } from "../test/fuzz/daemon.ts";
import { runTarget, shareCases } from "../test/fuzz/target.ts";
import { pureTargets } from "../test/fuzz/targets.ts";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "10000" },
    seed: { type: "string" },
    only: { type: "string" },
    path: { type: "string" },
  },
});
const seed = values.seed === undefined ? Date.now() & 0x7fffffff : Number(values.seed);
const cases = Number(values.cases);
const names = [...pureTargets.map(({ name }) => name), "api"];
if (
  !Number.isSafeInteger(seed) ||
  !Number.isSafeInteger(cases) ||
  cases < 1 ||
  (values.only !== undefined && !names.includes(values.only))
) {
  console.log(`usage: npm run fuzz -- --cases COUNT [--seed N] [--only ${names.join("|")}] [--path PATH]`);
  process.exit(2);
}
const daemon = values.only === undefined || values.only === "api" ? await startDaemon() : undefined;
const targets = [...pureTargets, ...(daemon === undefined ? [] : [apiTarget(daemon.socket)])].filter(
  ({ name }) => values.only === undefined || name === values.only,
);
const shares = values.only === undefined ? shareCases(targets, cases) : [cases];
let tried = 0;
let failed = 0;
try {
  for (const [index, target] of targets.entries()) {
    const path = values.path === undefined ? {} : { path: values.path };
    const result = await runTarget(target, { cases: shares[index] ?? 1, seed, ...path });
    tried += result.cases;
    if (result.failure !== undefined) failed += 1;
    const mark = result.failure === undefined ? "ok    " : "FAILED";
    console.log(`${mark} ${result.name}: ${result.cases} cases in ${(result.ms / 1000).toFixed(1)} s`);
    if (result.failure !== undefined) console.log(result.failure);
  }
  if (daemon !== undefined && !(await daemon.alive())) {
    failed += 1;
    console.log("FAILED the daemon went away");
  }
} finally {
  await daemon?.stop();
}
console.log(`\n${tried} cases, ${failed} failed, seed ${seed}`);
process.exitCode = failed === 0 ? 0 : 1;
