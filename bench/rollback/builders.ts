import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { launcher } from "../lib/bronze.ts";
import { stopsOnce } from "../lib/cleanup.ts";

const files = 100;
const fileBytes = 2 ** 20;
/** At the beginning of each file: with it every file of every build is a new one. */
const stampBytes = 64;

/** What keeps the machine busy: builds, and hashes of what they build. */
export interface Builders {
  /** How many builds have ended since the start. */
  builds(): number;
  stop(): Promise<void>;
}

/**
 * Keeps every core busy: on each, one after the other and on and on, `bronze build` of 100 MB that never were built before,
 * and `sha256sum` of the same data at ordinary priority.
 *
 * @param ownSession the work is in sessions of its own, as of other users; else in this process's. The kernel shares the
 *   CPU out between sessions first (`sched_autogroup_enabled`), so that priorities count within one only.
 */
export async function startBuilders(ownSession: boolean): Promise<Builders> {
  const folder = await mkdtemp(join(tmpdir(), "bronze-busy-"));
  const env = { ...process.env, BRONZE_STATE: join(folder, "state"), NO_COLOR: "1" };
  const running = new Set<ChildProcess>();
  let stopping = false;
  let builds = 0;
  let failure: Error | undefined;

  const runHere = (cwd: string, command: string, ...args: readonly string[]) =>
    new Promise<void>((resolve, reject) => {
      const child = spawn(command, args, { cwd, env, detached: ownSession, stdio: ["ignore", "ignore", "pipe"] });
      let said = "";
      running.add(child);
      child.stderr.on("data", (text: Buffer) => void (said = (said + text.toString()).slice(-2000)));
      child.on("error", reject);
      child.on("close", (status) => {
        running.delete(child);
        if (status === 0 || stopping) resolve();
        else reject(new Error(`${command} ended with status ${status}\n${said}`));
      });
    });
  const work = async (project: string) => {
    const data = Array.from({ length: files }, (_, number) => `data/${number}`);
    await mkdir(join(project, "data"), { recursive: true });
    await writeFile(join(project, "bronze.yaml"), "app: busy\nbuild: { dockerfile: Dockerfile }\n");
    await writeFile(join(project, "Dockerfile"), 'FROM scratch\nCOPY data /data\nCMD ["/data/0"]\n');
    // Hexadecimal digits: gzip has as much to do as with text, and makes half of it.
    for (const path of data) await writeFile(join(project, path), randomBytes(fileBytes / 2).toString("hex"));
    while (!stopping) {
      for (const path of data) await stamp(join(project, path));
      await runHere(project, launcher, "build");
      builds += 1;
      if (!stopping) await runHere(project, "sha256sum", ...data);
    }
  };
  const loops = Array.from({ length: availableParallelism() }, (_, number) => work(join(folder, `project-${number}`)));
  const ended = Promise.all(loops).catch((error: unknown) => {
    failure = error instanceof Error ? error : new Error(String(error));
    stopping = true;
  });
  const stop = stopsOnce(async () => {
    stopping = true;
    for (const child of running) child.kill("SIGTERM");
    await ended;
    await Promise.allSettled(loops);
    await rm(folder, { recursive: true, force: true });
  });
  return {
    builds: () => builds,
    stop: async () => {
      await stop();
      if (failure !== undefined) throw failure;
    },
  };
}

async function stamp(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(randomBytes(stampBytes / 2).toString("hex"), 0);
  } finally {
    await file.close();
  }
}
