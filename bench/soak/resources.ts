import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Places } from "../../src/model/places.ts";

/** What one daemon and all that is its own hold at a moment. All but memory and disk are counts. */
export interface Resources {
  /** Memory of the daemon, in bytes. */
  readonly pssBytes: number;
  /** Files the daemon has open. */
  readonly openFiles: number;
  /** Processes whose arguments name the state folder: daemon, supervisor, HAProxy, conmon. */
  readonly processes: number;
  readonly mounts: number;
  readonly networkNamespaces: number;
  /** Links of the bridge, and the bridge. */
  readonly links: number;
  readonly cgroups: number;
  /** Files and folders under the run folder. */
  readonly runFiles: number;
  /** What lies in the state folder, less the ledger, which only grows. */
  readonly stateBytes: number;
  readonly logBytes: number;
}

/** Counts what a daemon holds. @param pid the daemon */
export async function resourcesOf(places: Places, pid: number): Promise<Resources> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const processes = await ownProcesses(places.state);
  const namespaces = new Set(await Promise.all(processes.map((own) => networkOf(own))));
  namespaces.delete(await networkOf(process.pid));
  const mountinfo = await readFile("/proc/self/mountinfo", "utf8");
  return {
    pssBytes: Number(/^Pss:\s+([0-9]+) kB/m.exec(rollup)?.[1] ?? 0) * 1024,
    openFiles: (await readdir(`/proc/${pid}/fd`)).length,
    processes: processes.length,
    mounts: mountinfo.split("\n").filter((line) => line.includes(` ${places.state}/`)).length,
    networkNamespaces: namespaces.size,
    links: (await readdir("/sys/class/net")).filter((name) => name.includes(places.tag)).length,
    cgroups: await ownCgroups(places.tag),
    runFiles: (await walk(places.run, () => true)).count,
    stateBytes: (await walk(places.state, (path) => !isApart(places, path))).bytes,
    logBytes: (await walk(places.log, () => true)).bytes,
  };
}

function isApart(places: Places, path: string): boolean {
  return path === places.run || path === places.log || basename(path).startsWith("ledger.");
}

/** Processes that name the folder, and those inside instances, which descend from such. */
async function ownProcesses(state: string): Promise<readonly number[]> {
  const parents = new Map<number, number>();
  const named = new Set<number>();
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    if (stat === "") continue;
    parents.set(pid, Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (pid !== process.pid && (line.includes(`${state}/`) || line.includes(`${state}\0`))) named.add(pid);
  }
  const isOwn = (pid: number): boolean =>
    named.has(pid) || (pid > 1 && parents.has(pid) && isOwn(parents.get(pid) ?? 0));
  return [...parents.keys()].filter((pid) => isOwn(pid));
}

const networkOf = (pid: number): Promise<string> => readlink(`/proc/${pid}/ns/net`).catch(() => "");

async function ownCgroups(tag: string): Promise<number> {
  let count = 0;
  const look = async (folder: string, depth: number, inside: boolean): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (!entry.isDirectory()) continue;
      const own = inside || entry.name.includes(tag);
      if (own) count += 1;
      if (depth > 0) await look(join(folder, entry.name), depth - 1, own);
    }
  };
  await look("/sys/fs/cgroup", 4, false);
  return count;
}

async function walk(
  path: string,
  wanted: (path: string) => boolean,
  device?: number,
): Promise<{ readonly count: number; readonly bytes: number }> {
  const found = await lstat(path).catch(() => undefined);
  // What is mounted there is no file of the folder.
  if (found === undefined || found.dev !== (device ?? found.dev) || !wanted(path)) return { count: 0, bytes: 0 };
  let count = 1;
  let bytes = found.isFile() ? found.blocks * 512 : 0;
  if (found.isDirectory()) {
    for (const name of await readdir(path).catch(() => [])) {
      const inner = await walk(join(path, name), wanted, found.dev);
      count += inner.count;
      bytes += inner.bytes;
    }
  }
  return { count, bytes };
}
