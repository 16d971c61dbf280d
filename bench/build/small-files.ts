import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { percentile, round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { run } from "../lib/process.ts";

const defaultRuns = 7;
const files = 50_000;
const filesPerFolder = 100;
/** Their sizes: 256 bytes to 8 KiB, 2 KiB in the mean. */
const sizes = [256, 512, 768, 1024, 1024, 1536, 2048, 2560, 3072, 8192];

/**
 * A layer of 50,000 small files that are in the page cache, from looking at the folder to the digest of the tar, its bytes
 * thrown away; against `tar --sort=name | sha256sum` of the same folder, which throws them away too.
 */
export async function smallFiles({ runs = defaultRuns, say }: BenchOptions): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-small-"));
  try {
    say(`writing ${files} small files`);
    const root = join(folder, "files");
    const bytes = await writeFiles(root);
    const program = await bundleProgram(folder);
    say(`${runs} layers of them on each side, in turn`);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let run = -1; run < runs; run += 1) {
      const our = await layerMs(program, root);
      const their = await tarMs(root);
      if (run < 0) continue;
      ours.push(bytes / 1e3 / our);
      theirs.push(bytes / 1e3 / their);
    }
    const value = round(percentile(ours, 0.5));
    const versus = { name: "tar | sha256sum", value: round(percentile(theirs, 0.5)) };
    const ratio = round(percentile(ours, 0.5) / percentile(theirs, 0.5));
    return {
      figures: [
        { name: "small_files_mb_s", value, unit: "MB/s", runs, versus, ratio },
        { name: "small_files_ratio", value: ratio, unit: "", runs, goal: { atLeast: 0.7 } },
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeFiles(folder: string): Promise<number> {
  let bytes = 0;
  for (let number = 0; number < files; number += 1) {
    const dir = join(folder, `folder-${Math.floor(number / filesPerFolder)}`);
    if (number % filesPerFolder === 0) await mkdir(dir, { recursive: true });
    const size = sizes[number % sizes.length] ?? 0;
    await writeFile(join(dir, `file-${number}.txt`), `${number} `.repeat(size).slice(0, size));
    bytes += size;
  }
  return bytes;
}

/** The program that makes a layer, bundled into one file as the command is. */
async function bundleProgram(folder: string): Promise<string> {
  const program = join(folder, "layer-process.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "layer-process.ts")],
    outfile: program,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node26",
    logLevel: "warning",
  });
  return program;
}

/** In a process of its own, as a build is, started as ./bronze starts Node; what it took without that start. */
async function layerMs(program: string, files: string): Promise<number> {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dirname(program), "compiled") };
  return Number(await run(process.execPath, ["--max-semi-space-size=16", program, files], { env }));
}

function tarMs(folder: string): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const tar = spawn(
      "tar",
      ["--create", "--sort=name", "--format=ustar", "--numeric-owner", "--directory", folder, "."],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const hash = spawn("sha256sum", [], { stdio: [tar.stdout, "ignore", "inherit"] });
    let tarStatus: number | null = 0;
    tar.stdout.destroy();
    tar.once("exit", (status) => (tarStatus = status));
    hash.once("exit", (status) => {
      if (status === 0 && tarStatus === 0) resolve(performance.now() - startedAt);
      else reject(new Error(`tar | sha256sum ended with ${tarStatus} and ${status}`));
    });
  });
}
