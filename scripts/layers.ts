/**
 * The layer rule: errors ← model ← {pure rooms} ← ports ← controller; ports ← {build, store, registry}; ports ← linux ← drivers, which
 * never import each other; only daemon, simulate and cli wire. Prints the import path of each offence.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = dirname(import.meta.dirname);
const pure = ["definition", "image", "policy", "rollout", "drift", "trust", "scan", "ledger"];
const below: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  model: ["errors"],
  ...Object.fromEntries(pure.map((room) => [room, ["errors", "model", ...pure]])),
  ports: ["errors", "model", ...pure],
  controller: ["errors", "model", ...pure, "ports"],
  build: ["errors", "model", ...pure, "ports", "store"],
  store: ["errors", "model", ...pure, "ports"],
  linux: ["errors", "model", ...pure, "ports"],
  vulnerabilities: ["errors", "model", ...pure, "ports", "linux"],
  registry: ["errors", "model", ...pure, "ports"],
  drivers: ["errors", "model", ...pure, "ports", "linux"],
  load: ["errors", "model"],
  render: ["errors", "model", ...pure],
};
const wiring = new Set(["daemon", "simulate", "cli"]);

const deciding = new Set(["errors", "model", ...pure, "controller"]);
const forbidden: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\s*\(/, "Date.now"],
  [/\bnew Date\(\s*\)/, "new Date()"],
  [/\b(setTimeout|setInterval|setImmediate)\s*\(/, "a timer"],
  [/\bMath\.random\s*\(/, "Math.random"],
  [/\b(randomUUID|randomBytes|randomInt|getRandomValues)\b/, "randomness"],
  [/\bperformance\.now\s*\(/, "performance.now"],
  [/\bprocess\.hrtime\b/, "process.hrtime"],
];
const io =
  /^node:(fs|fs\/promises|child_process|http|https|http2|dgram|tls|dns|worker_threads|sqlite|timers|timers\/promises|perf_hooks|cluster|process)$/;

export interface Offence {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** All offences in the sources as given: path relative to src/ → text. */
export function findOffences(sources: ReadonlyMap<string, string>): readonly Offence[] {
  const offences: Offence[] = [];
  for (const [file, text] of sources) {
    const room = file.split("/")[0] ?? "";
    const isTest = /\.(test|suite)\.ts$/.test(file);
    if (!(room in below) && !wiring.has(room))
      offences.push({ file, line: 1, text: `src/${room}/ is not a room the layer rule knows` });
    text.split("\n").forEach((lineText, index) => {
      const line = index + 1;
      const specifier = /(?:\bfrom\s+|\bimport\s*\(\s*|^\s*import\s+)"([^"]+)"/.exec(lineText)?.[1];
      if (specifier !== undefined) {
        const reason = offendingImport(file, room, specifier, isTest);
        if (reason !== undefined) offences.push({ file, line, text: reason });
      }
      if (!deciding.has(room) || isTest || /^\s*(\/\/|\*|\/\*)/.test(lineText)) return;
      for (const [pattern, name] of forbidden) {
        if (pattern.test(lineText))
          offences.push({ file, line, text: `src/${room}/ decides, and must be handed what ${name} would give` });
      }
    });
  }
  return offences;
}

function offendingImport(file: string, room: string, specifier: string, isTest: boolean): string | undefined {
  if (!specifier.startsWith(".")) {
    if (!isTest && deciding.has(room) && io.test(specifier)) return `${file} → ${specifier}: no I/O in src/${room}/`;
    return undefined;
  }
  const target = relative("/", resolve("/", dirname(file), specifier));
  if (target.startsWith("..")) return undefined;
  const targetRoom = target.split("/")[0] ?? "";
  if (targetRoom === room) {
    const [, mine] = file.split("/");
    const [, theirs] = target.split("/");
    if (room === "drivers" && mine !== theirs && !isTest && !theirs?.endsWith(".ts") && !mine?.endsWith(".ts")) {
      return `src/${file} → src/${target}: drivers never import each other`;
    }
    return undefined;
  }
  // Tests may wire what they need.
  if (wiring.has(room) || isTest || below[room]?.includes(targetRoom) === true) return undefined;
  return `src/${file} → src/${target}: src/${room}/ may import only ${below[room]?.join(", ") || "nothing"}`;
}

/** Every TypeScript file under src/. */
function readSources(): ReadonlyMap<string, string> {
  const src = join(root, "src");
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  return new Map(files.sort().map((name) => [name, readFileSync(join(src, name), "utf8")]));
}

if (import.meta.main) {
  const offences = findOffences(readSources());
  for (const { file, line, text } of offences) console.log(`src/${file}:${line}: ${text}`);
  process.exitCode = offences.length === 0 ? 0 : 1;
}
