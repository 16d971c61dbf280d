import { chmod, copyFile, cp, link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { copyProject } from "../../src/cli/check/copy-project.ts";
import { launcher } from "../lib/bronze.ts";
import { stopsOnce } from "../lib/cleanup.ts";
import type { BenchOptions, BenchResult } from "../lib/figures.ts";
import { needs, require } from "../lib/packages.ts";
import { run } from "../lib/process.ts";
import { describeSurroundings, giveTo, surroundingsOf, type Surroundings } from "./surroundings.ts";

const defaultRuns = 10;
const cli = join(dirname(launcher), "dist/cli.js");
const hostScript = join(dirname(launcher), "src/cli/check/surroundings.sh");
const clock = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/faketime/libfaketimeMT.so.1`;

interface Kind {
  readonly name: string;
  readonly folder: string;
  /** Steps and packages want root; files do not. */
  readonly root: boolean;
}

/** The same projects built again and again, each time without a cache and in other surroundings: how many digests come out. */
export async function repro({ runs = defaultRuns, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox, needs.mmdebstrap, needs.faketime);
  const folder = await mkdtemp(join(tmpdir(), "bronze-repro-"));
  const stop = stopsOnce(() => rm(folder, { recursive: true, force: true }));
  try {
    await chmod(folder, 0o755);
    // The bundle is there after any command.
    await run(launcher, ["--version"]);
    const node24 = await fetchNode24(join(folder, "node24"));
    const kinds = [await filesKind(folder), await stepsKind(folder), await recipeKind(folder)];
    const notes: string[] = [];
    let builds = 0;
    let distinct = 0;
    for (const kind of kinds) {
      const found = new Map<string, string>();
      for (let index = 0; index < runs; index += 1) {
        const surroundings = surroundingsOf(index);
        say(`${kind.name}, ${index + 1} of ${runs}: ${describeSurroundings(surroundings)}`);
        const digest = await buildOnce(kind, surroundings, folder, node24);
        if (!found.has(digest)) found.set(digest, describeSurroundings(surroundings));
        builds += 1;
      }
      distinct = Math.max(distinct, found.size);
      for (const [digest, first] of found)
        notes.push(`${kind.name}: ${digest}${found.size === 1 ? "" : ` first with ${first}`}`);
    }
    return {
      figures: [
        { name: "builds", value: builds, unit: "", runs: 1, goal: { atLeast: 24 } },
        { name: "distinct_digests", value: distinct, unit: "each", runs: 1, goal: { atMost: 1 } },
      ],
      notes,
      failed: distinct > 1,
    };
  } finally {
    await stop();
  }
}

async function buildOnce(kind: Kind, one: Surroundings, folder: string, node24: string): Promise<string> {
  const work = await mkdtemp(join(folder, "build-"));
  const copy = one.copied ? await copyProject(kind.folder, work, "", new AbortController().signal) : undefined;
  try {
    const project = copy?.root ?? kind.folder;
    const uid = kind.root ? 0 : one.uid;
    const state = join(work, "state");
    await mkdir(join(state, "cache"), { recursive: true });
    await mkdir(join(folder, "debs"), { recursive: true });
    await symlink(join(folder, "debs"), join(state, "cache/debs"));
    await giveTo(work, uid);
    await giveTo(project, one.uid);
    const args = [
      ["--uts", "sh", hostScript, one.host, one.umask],
      ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"],
      ["env", `FAKETIME=+${one.later}h`, "FAKETIME_DONT_FAKE_MONOTONIC=1"],
      one.later === 0 ? [] : [`LD_PRELOAD=${clock}`],
      [one.node === 24 ? node24 : process.execPath, "--disable-warning=ExperimentalWarning"],
      ["--import", "data:text/javascript,delete process.env.LD_PRELOAD"],
      [cli, "build", "--json", "--state", state, "--file", join(project, "bronze.yaml")],
    ].flat();
    const env = {
      PATH: process.env["PATH"],
      TZ: one.zone,
      LANG: one.language,
      LC_ALL: one.language,
      GIT_DIR: join(kind.folder, ".git"),
      GIT_WORK_TREE: project,
    };
    const said = await run("unshare", args, { cwd: one.from === "root" ? "/" : project, env });
    return (JSON.parse(said.trim().split("\n").at(-1) ?? "") as { digest: string }).digest;
  } finally {
    await copy?.remove();
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchNode24(prefix: string): Promise<string> {
  const name = `node-linux-${process.arch}`;
  await run("npm", ["install", "--prefix", prefix, "--no-audit", "--no-fund", "--ignore-scripts", `${name}@24`]);
  return join(prefix, "node_modules", name, "bin/node");
}

/** Files as projects have them, and names that few have: no step runs. */
async function filesKind(folder: string): Promise<Kind> {
  const project = join(folder, "files");
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(project, path)), { recursive: true });
    await writeFile(join(project, path), text);
  };
  await write("bronze.yaml", "app: files\nbuild: { dockerfile: Dockerfile, compress: zstd }\n");
  await write("Dockerfile", 'FROM scratch\nWORKDIR /app\nCOPY . .\nENV A=1\nLABEL b=2\nCMD ["/app/tool"]\n');
  for (let number = 0; number < 500; number += 1)
    await write(`src/${number % 20}/${"n".repeat(number % 120)}${number}.js`, `export default ${number};\n`);
  await write("ünï\ncode", "odd");
  await write("tool", "#!");
  await chmod(join(project, "tool"), 0o755);
  await symlink("src/1", join(project, "link"));
  await link(join(project, "tool"), join(project, "twin"));
  return committed({ name: "files", folder: project, root: false });
}

/** Steps that are deterministic, on nothing but busybox. */
async function stepsKind(folder: string): Promise<Kind> {
  const project = join(folder, "steps");
  await cp(join(import.meta.dirname, "steps"), project, { recursive: true });
  await copyFile(needs.busybox.path, join(project, "busybox"));
  return committed({ name: "steps", folder: project, root: true });
}

async function recipeKind(folder: string): Promise<Kind> {
  const project = join(folder, "recipe");
  await cp(join(import.meta.dirname, "recipe"), project, { recursive: true });
  return committed({ name: "recipe", folder: project, root: true });
}

async function committed(kind: Kind): Promise<Kind> {
  const git = (...args: readonly string[]) =>
    run("git", ["-C", kind.folder, "-c", "user.name=bench", "-c", "user.email=bench@localhost", ...args]);
  await git("init", "--quiet");
  await git("add", "--all");
  await git("commit", "--quiet", "--message", "the project");
  return kind;
}
