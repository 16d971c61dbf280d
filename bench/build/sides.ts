import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launcher } from "../lib/bronze.ts";
import { stopsOnce } from "../lib/cleanup.ts";
import { startDocker } from "../lib/docker.ts";
import { needs, require } from "../lib/packages.ts";
import { attempt, run } from "../lib/process.ts";
import { baseName, nodeBase } from "./base.ts";

/** One who builds; each has a store of its own with the base in it. */
export interface Side {
  readonly name: string;
  /** Builds a folder's Dockerfile as a user does: a whole process. @returns how long it took, in ms */
  build(folder: string, ...options: readonly string[]): Promise<number>;
  /** Empties the step cache; the base stays, unpacked as it was. */
  forget(): Promise<void>;
  stop(): Promise<void>;
}

/** Bronze, BuildKit and buildah. */
export interface Sides {
  readonly bronze: Side;
  readonly buildkit: Side;
  readonly buildah: Side;
  readonly stop: () => Promise<void>;
}

export async function startSides(say: (text: string) => void): Promise<Sides> {
  const layout = await nodeBase(say);
  say("the same base in every store");
  const sides: Side[] = [];
  const stop = async () => {
    for (const side of sides) await side.stop();
  };
  const start = async (make: (layout: string) => Promise<Side>): Promise<Side> => {
    const side = await make(layout);
    sides.push(side);
    return side;
  };
  try {
    const bronze = await start(bronzeSide);
    const buildkit = await start(buildkitSide);
    const buildah = await start(buildahSide);
    return { bronze, buildkit, buildah, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * @param layout a base to import, under the name that the Dockerfiles have for it
 * @param more variables for its command
 */
export async function bronzeSide(
  layout?: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Side & { readonly state: string }> {
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-builds-"));
  const state = join(folder, "state");
  const env = { ...process.env, ...more, BRONZE_STATE: state, NO_COLOR: "1" };
  const bronze = (args: readonly string[], cwd: string) => timed(launcher, args, { cwd, env });
  const stop = stopsOnce(async () => {
    await attempt(launcher, ["down", "--all"], { env });
    await rm(folder, { recursive: true, force: true });
  });
  const first = join(folder, "first");
  try {
    await mkdir(first);
    await writeFile(join(first, "bronze.yaml"), "app: first\nbuild: { dockerfile: Dockerfile }\n");
    await writeFile(join(first, "Dockerfile"), `FROM ${baseName}\nRUN true\nCOPY bronze.yaml /\n`);
    if (layout !== undefined) await bronze(["import", layout, "--name", baseName], folder);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: "bronze build",
    state,
    build: (project, ...options) => bronze(["build", ...options], project),
    async forget() {
      await rm(join(state, "cache"), { recursive: true, force: true });
      // The base is unpacked again, as it stays with the others.
      await bronze(["build"], first);
    },
    stop,
  };
}

async function buildkitSide(layout: string): Promise<Side> {
  const docker = await startDocker({ builds: true });
  try {
    await docker.load(layout, baseName);
  } catch (error) {
    await docker.stop();
    throw error;
  }
  return {
    name: "BuildKit",
    build: (project) => elapsed(() => docker.docker("build", "--tag", "bench:latest", project)),
    forget: async () => void (await docker.docker("builder", "prune", "--all", "--force")),
    stop: docker.stop,
  };
}

async function buildahSide(layout: string): Promise<Side> {
  await require(needs.buildah);
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-buildah-"));
  const where = ["--root", join(folder, "root"), "--runroot", join(folder, "run")];
  const buildah = (...args: readonly string[]) => timed(needs.buildah.path, [...where, ...args]);
  const stop = stopsOnce(async () => {
    await attempt(needs.buildah.path, [...where, "rm", "--all"]);
    await attempt(needs.buildah.path, [...where, "rmi", "--all", "--force"]);
    await rm(folder, { recursive: true, force: true });
  });
  let forgotten = false;
  try {
    const id = await run(needs.buildah.path, [...where, "pull", "--quiet", `oci:${layout}`]);
    await buildah("tag", id.trim(), baseName);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: "buildah",
    build: async (project) => {
      const cache = forgotten ? "--no-cache" : "--layers";
      forgotten = false;
      return buildah("build", cache, "--network=host", "--pull=never", "--tag", "bench:latest", project);
    },
    forget: () => Promise.resolve(void (forgotten = true)),
    stop,
  };
}

async function timed(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<number> {
  return elapsed(() => run(command, args, options));
}

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
