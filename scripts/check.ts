/** Runs every check, all of them even after a failure, and ends with a line each. `npm run check -- NAME…` runs some. */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";

const root = dirname(import.meta.dirname);
const bin = (name: string): string => join(root, "node_modules", ".bin", name);
const script = (name: string, ...more: string[]): readonly string[] => [
  process.execPath,
  join(root, "scripts", name),
  ...more,
];

const checks: readonly (readonly [string, readonly string[]])[] = [
  ["types", [bin("tsc"), "--noEmit"]],
  ["lint", [bin("oxlint"), "--type-aware", "--deny-warnings"]],
  ["format", [bin("oxfmt"), "--check"]],
  ["layers", script("layers.ts")],
  ["dead code", [bin("knip")]],
  ["references", script("references.ts", "--check")],
];

const asked = process.argv.slice(2);
const results: string[] = [];
let failed = 0;
for (const [name, [command = "", ...args]] of checks) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const ok = status === 0;
  if (!ok) {
    failed += 1;
    console.log(`\n== ${name} ==\n${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trimEnd());
  }
  results.push(`${ok ? "ok    " : "FAILED"} ${name}`);
}
console.log(`\n${results.join("\n")}`);
process.exitCode = failed === 0 ? 0 : 1;
