/**
 * Gives garbage to everything that reads what others wrote. `npm run fuzz -- --cases 100000 [--seed N] [--only NAME]
 * [--path PATH]`; a failure prints the seed, the shrunk case and the command that replays it.
 */
import { parseArgs } from "node:util";
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
const targets = pureTargets.filter(({ name }) => values.only === undefined || name === values.only);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(cases) || cases < 1 || targets.length === 0) {
  console.log(
    `usage: npm run fuzz -- --cases COUNT [--seed N] [--only ${pureTargets.map(({ name }) => name).join("|")}] [--path PATH]`,
  );
  process.exit(2);
}
const shares = values.only === undefined ? shareCases(targets, cases) : [cases];
let tried = 0;
let failed = 0;
for (const [index, target] of targets.entries()) {
  const result = await runTarget(target, {
    cases: shares[index] ?? 1,
    seed,
    ...(values.path === undefined ? {} : { path: values.path }),
  });
  tried += result.cases;
  if (result.failure !== undefined) failed += 1;
  console.log(
    `${result.failure === undefined ? "ok    " : "FAILED"} ${result.name}: ${result.cases} cases in ${(result.ms / 1000).toFixed(1)} s`,
  );
  if (result.failure !== undefined) console.log(result.failure);
}
console.log(`\n${tried} cases, ${failed} failed, seed ${seed}`);
process.exitCode = failed === 0 ? 0 : 1;
