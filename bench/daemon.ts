import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isSettled, startBronze, staticProject } from "./lib/bronze.ts";
import { round, type BenchOptions, type BenchResult } from "./lib/figures.ts";
import { pssBytes } from "./lib/memory.ts";
import { needs, require } from "./lib/packages.ts";

const instances = 8;
const idleMs = 20_000;
/** What is not counted: the router, the instances' supervisors, and the apps. */
const others = new Set(["haproxy", "conmon"]);

/** Memory of all processes but HAProxy, conmon and apps, idle with 8 instances. */
export async function daemonBench({ runs, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox);
  const bronze = await startBronze();
  try {
    const artifact = await bronze.build("site", staticProject("content"), { busybox: needs.busybox.path });
    await bronze.deploy(artifact, {}, { instances });
    await bronze.until("all is healthy", isSettled);
    const count = runs ?? 1;
    const sums: number[] = [];
    let found: readonly Process[] = [];
    for (let i = 0; i < count; i += 1) {
      say(`${instances} instances, idle for ${idleMs / 1000} s`);
      await sleep(idleMs);
      found = await processesOf(bronze.ping.pid, bronze.places.state);
      sums.push(found.reduce((sum, { pssBytes }) => sum + pssBytes, 0) / 1e6);
    }
    return {
      figures: [{ name: "pss_idle_mb", value: round(Math.max(...sums)), unit: "MB", runs: count }],
      notes: found.map(({ pid, name, pssBytes }) => `${name} (${pid}): ${(pssBytes / 1e6).toFixed(1)} MB`),
    };
  } finally {
    await bronze.stop();
  }
}

interface Process {
  readonly pid: number;
  readonly name: string;
  readonly pssBytes: number;
}

/** The daemon, what it started, and whatever names its state folder; what lives in another process namespace is an app. */
async function processesOf(daemon: number, state: string): Promise<readonly Process[]> {
  const parents = new Map<number, number>();
  const own = new Set([daemon]);
  const namespace = await readlink("/proc/self/ns/pid");
  const found: Process[] = [];
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    parents.set(pid, Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(`${state}/`) || line.includes(`${state}\0`)) own.add(pid);
  }
  const isOwn = (pid: number): boolean => own.has(pid) || (pid > 1 && parents.has(pid) && isOwn(parents.get(pid) ?? 0));
  for (const pid of pids) {
    if (pid === process.pid || !isOwn(pid)) continue;
    const name = (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim();
    const inside = await readlink(`/proc/${pid}/ns/pid`).catch(() => "");
    if (inside === namespace && !others.has(name)) found.push({ pid, name, pssBytes: pssBytes(pid) });
  }
  return found;
}
