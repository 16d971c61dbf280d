import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { banner, plugins } from "../../scripts/bundle-plugins.ts";
import { launcher } from "../lib/bronze.ts";
import { figure, percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { needs, require } from "../lib/packages.ts";
import { run } from "../lib/process.ts";

const npmPackages = 300;
const defaultRuns = 30;
const wholeRuns = 15;
const cli = join(import.meta.dirname, "../../dist/cli.js");
/** As `./bronze` starts its commands. */
const flags = ["--min-semi-space-size=16", "--max-semi-space-size=16"];

/** What it takes a process that has never verified anything, and whether it asks anybody. */
export async function verify({ runs, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox, needs.strace);
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-verify-"));
  try {
    const state = join(folder, "state");
    const project = join(folder, "project");
    await writeProject(project);
    say("building an artifact, with all that is said about it");
    const built = await run(launcher, ["build", "--json", "--state", state], { cwd: project });
    const { digest } = JSON.parse(built) as { digest: string };
    const script = join(folder, "verify.mjs");
    const idle = join(folder, "idle.mjs");
    await bundle(folder, script);
    await writeFile(idle, "");
    const once = async (): Promise<number> => {
      const { ms, reasons } = JSON.parse(await run(process.execPath, [...flags, script, state, digest])) as {
        ms: number;
        reasons: readonly string[];
      };
      if (reasons.length > 0) throw new Error(`it was not verified: ${reasons.join("; ")}`);
      return ms;
    };
    const values: number[] = [];
    say("verifying it in fresh processes");
    for (let i = 0; i <= (runs ?? defaultRuns); i += 1) {
      const ms = await once();
      // The first brings the files into the page cache.
      if (i > 0) values.push(ms);
    }
    say("the whole command, against a Node that does nothing");
    const whole: number[] = [];
    const nothing: number[] = [];
    for (let i = 0; i < wholeRuns; i += 1) {
      nothing.push(await elapsed(idle));
      whole.push(await elapsed(cli, "verify", digest, "--state", state));
    }
    say("watching for sockets");
    const trace = join(folder, "trace");
    const watched = ["-f", "-e", "trace=socket,connect", "-o", trace];
    let sockets = 0;
    for (const command of [
      [process.execPath, ...flags, script, state, digest],
      [launcher, "verify", digest, "--state", state],
    ]) {
      await run("strace", [...watched, ...command], { cwd: project });
      sockets += (await readFile(trace, "utf8")).match(/(?:socket|connect)\(/g)?.length ?? 0;
    }
    return {
      figures: [
        { ...figure("verify_first_ms", "ms", 0.5, values), goal: { atMost: 20 } },
        { name: "verify_sockets", value: sockets, unit: "", runs: 2, goal: { atMost: 0 } },
      ],
      notes: [
        `\`bronze verify\` itself, with its command line and each layer hashed: ${round(percentile(whole, 0.5) - percentile(nothing, 0.5))} ms more than a Node that does nothing`,
        `manifest, config, signature, provenance, a bill of materials with ${npmPackages} packages; 95th percentile ${figure("", "ms", 0.95, values).value} ms`,
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** As `dist/evidence.js` is made and loaded: in one file, with what V8 made of it before. */
async function bundle(folder: string, script: string): Promise<void> {
  const code = join(folder, "verify-bundle.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "verify-entry.ts")],
    outfile: code,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node26",
    logLevel: "error",
    minifySyntax: true,
    minifyWhitespace: true,
    banner,
    plugins: [...plugins],
  });
  const lines = [
    'const { enableCompileCache } = process.getBuiltinModule("node:module");',
    `enableCompileCache(${JSON.stringify(join(folder, "cache"))});`,
    `await import(${JSON.stringify(code)});`,
  ];
  await writeFile(script, lines.join("\n"));
}

async function elapsed(...args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  await run(process.execPath, [...flags, ...args]);
  return performance.now() - startedAt;
}

async function writeProject(project: string): Promise<void> {
  await mkdir(join(project, "root/bin"), { recursive: true });
  await copyFile(needs.busybox.path, join(project, "root/bin/busybox"));
  for (let i = 0; i < npmPackages; i += 1) {
    const dir = join(project, "root/app/node_modules", `package-${i}`);
    await mkdir(dir, { recursive: true });
    await writeFile(
      join(dir, "package.json"),
      JSON.stringify({ name: `package-${i}`, version: `1.0.${i}`, license: "MIT" }),
    );
  }
  await writeFile(join(project, "Dockerfile"), 'FROM scratch\nCOPY root /\nCMD ["/bin/busybox", "httpd", "-f"]\n');
  await writeFile(join(project, "bronze.yaml"), "app: shop\nbuild: { dockerfile: Dockerfile }\nrun: { port: 8080 }\n");
}
