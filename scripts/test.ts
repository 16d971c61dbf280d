/**
 * Runs the tests: the pure ones in parallel, then each `*.real.test.ts` alone, since those share the machine. A skipped
 * test is a failure: nothing passes by not running. `npm test -- PART…` runs only files whose path holds a PART.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

const root = dirname(import.meta.dirname);
const parts = process.argv.slice(2);
const files = ["src", "scripts", "test", "bench", "examples"]
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  )
  .filter((name) => name.endsWith(".test.ts") && !name.includes("node_modules"))
  .filter((name) => parts.length === 0 || parts.some((part) => name.includes(part)))
  .sort();
const real = files.filter((name) => name.endsWith(".real.test.ts"));
const unit = files.filter((name) => !name.endsWith(".real.test.ts"));

const totals = { tests: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 };
const failedFiles: string[] = [];

function run(names: readonly string[], concurrency: number): void {
  const began = performance.now();
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      "--test",
      `--test-concurrency=${concurrency}`,
      "--test-timeout=600000",
      "--test-reporter=tap",
      ...names,
    ],
    { cwd: root, encoding: "utf8", maxBuffer: 256 * 1024 * 1024, stdio: ["ignore", "pipe", "inherit"] },
  );
  let skippedHere = 0;
  for (const key of Object.keys(totals) as (keyof typeof totals)[]) {
    const count = Number(new RegExp(`^# ${key} (\\d+)$`, "m").exec(stdout)?.[1] ?? 0);
    totals[key] += count;
    if (key === "skipped" || key === "todo") skippedHere += count;
  }
  const ok = status === 0 && skippedHere === 0;
  if (!ok) {
    failedFiles.push(...(names.length === 1 ? names : ["unit tests"]));
    console.log(stdout);
  }
  const what = names.length === 1 ? names[0] : `${names.length} files of unit tests`;
  console.log(
    `${ok ? "ok    " : "FAILED"} ${what} (${Math.round((performance.now() - began) / 1000)} s)${skippedHere > 0 ? `: ${skippedHere} skipped, which counts as failed` : ""}`,
  );
}

if (files.length === 0) {
  console.log(`no test file matches ${parts.join(" ")}`);
  process.exit(1);
}
if (unit.length > 0) run(unit, Math.max(2, availableParallelism()));
for (const name of real) run([name], 1);

if (failedFiles.length > 0) console.log(`failed: ${failedFiles.join(", ")}`);
console.log(
  `\n${totals.pass} passed, ${totals.fail + totals.cancelled} failed, ${totals.skipped + totals.todo} skipped`,
);
process.exitCode = failedFiles.length === 0 ? 0 : 1;
