/**
 * Runs the tests. Those that run instances share the machine: one file after the other. Beside them, and behind them for
 * the processor, go the pure ones, then those of builds, of evidence and of the runtime's driver. A skipped test is a failure: nothing passes by
 * not running. `npm test -- PART…` runs only files whose path holds a PART.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism, setPriority } from "node:os";
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
/** What these do needs no instances, or some that nothing is measured of. Both lanes are to end at about the same time. */
const behindThem = [
  "src/build/",
  "src/registry/",
  "src/drivers/runc/",
  "src/drivers/steps/",
  "src/drivers/volumes/",
  "test/build/",
  "test/evidence/",
  "test/arguments",
];
const isReal = (name: string): boolean => name.endsWith(".real.test.ts");
const unit = files.filter((name) => !isReal(name));
const builds = files.filter((name) => isReal(name) && behindThem.some((folder) => name.startsWith(folder)));
const instances = files.filter((name) => isReal(name) && !builds.includes(name));
/** How far those behind stand back: the numbers are those of nice(1). */
const behind = 10;

const totals = { tests: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 };
const failedFiles: string[] = [];
const failures: string[] = [];

async function run(names: readonly string[], concurrency: number, niceness: number): Promise<void> {
  const began = performance.now();
  const { status, stdout } = await output(
    [
      "--disable-warning=ExperimentalWarning",
      "--test",
      `--test-concurrency=${concurrency}`,
      "--test-timeout=600000",
      "--test-reporter=tap",
      ...names,
    ],
    niceness,
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
    failures.push(...failuresIn(stdout));
    console.log(stdout);
  }
  const what = names.length === 1 ? names[0] : `${names.length} files of unit tests`;
  console.log(
    `${ok ? "ok    " : "FAILED"} ${what} (${Math.round((performance.now() - began) / 1000)} s)${skippedHere > 0 ? `: ${skippedHere} skipped, which counts as failed` : ""}`,
  );
}

/** What a report in TAP says of each test that failed: its name, and where and why. */
function failuresIn(report: string): readonly string[] {
  return Array.from(report.matchAll(/^not ok \d+ - (.*)\n {2}---\n([^]*?)^ {2}\.\.\.$/gm), ([, name, told = ""]) => {
    const why = told.split("\n").filter((line) => !/^ {2}(duration_ms|type|failureType): /.test(line));
    return [`not ok: ${name}`, ...why.slice(0, 40)].join("\n").trimEnd();
  });
}

function output(args: readonly string[], niceness: number): Promise<{ status: number | null; stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    if (child.pid !== undefined && niceness > 0) setPriority(child.pid, niceness);
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout }));
  });
}

async function oneByOne(names: readonly string[], niceness: number): Promise<void> {
  for (const name of names) await run([name], 1, niceness);
}

if (files.length === 0) {
  console.log(`no test file matches ${parts.join(" ")}`);
  process.exit(1);
}
await Promise.all([
  oneByOne(instances, 0),
  (async () => {
    if (unit.length > 0) await run(unit, Math.max(2, availableParallelism()), behind);
    await oneByOne(builds, behind);
  })(),
]);

// Once more at the end, where it is found: all that was printed in between is long.
if (failedFiles.length > 0) console.log(["", ...failures, `failed: ${failedFiles.join(", ")}`].join("\n"));
console.log(
  `\n${totals.pass} passed, ${totals.fail + totals.cancelled} failed, ${totals.skipped + totals.todo} skipped`,
);
process.exitCode = failedFiles.length === 0 ? 0 : 1;
