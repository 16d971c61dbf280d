import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { InstanceName } from "../../model/names.ts";
import type { ExpectedObservation, InstanceObservation } from "../../model/observation.ts";
import { readText, replaceFile } from "../../linux/files.ts";
import type { UsedLayer } from "./layers.ts";
import { mountLines } from "./mount-lines.ts";
import { readMounts } from "../../linux/mountinfo.ts";
import { isAlive, processStat } from "../../linux/processes.ts";
import { instancePaths, readBirth, readExit, readRecord, type Folders } from "./record.ts";

/** What the first process was once the instance had settled. */
interface Baseline {
  readonly stackStart: string;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
}

/** Time an instance has to get from its entrypoint to the program it will be, in ms. */
const settleMs = 5_000;

/** Truth from procfs against what was recorded when the instance was made; null when it does not run. */
export async function inspectInstance(
  folders: Folders,
  name: InstanceName,
  nowMs: number,
  intact: (layers: readonly UsedLayer[]) => Promise<boolean>,
): Promise<{ observed: InstanceObservation; expected: ExpectedObservation } | null> {
  const paths = instancePaths(folders, name);
  const record = readRecord(paths);
  const birth = readBirth(paths);
  if (record === undefined || birth === undefined || readExit(paths) !== undefined || !isAlive(birth.process))
    return null;
  const { pid } = birth.process;
  try {
    const mounts = readMounts(pid);
    const baseline = record.hasSecrets === true ? paths.secretBaseline : paths.baseline;
    const program = await programOf(pid, baseline, nowMs - record.startedAtMs >= settleMs);
    const root = mounts.find(({ target }) => target === "/")?.device;
    const observed: InstanceObservation = {
      name,
      artifact: root === birth.rootDevice ? record.artifact : null,
      imageIntact: await intact(record.layers),
      arguments: program.observed.arguments,
      environment: program.observed.environment,
      mounts: mountLines(mounts),
      entered: enteredProcesses(pid),
    };
    const expected: ExpectedObservation = {
      name,
      artifact: record.artifact,
      arguments: program.expected.arguments,
      environment: program.expected.environment,
      mounts: birth.mounts,
    };
    return isAlive(birth.process) ? { observed, expected } : null;
  } catch (error) {
    // It ended while it was looked at.
    if (!isAlive(birth.process)) return null;
    throw error;
  }
}

/**
 * Arguments and environment of the first process, and what they must be.
 *
 * An entrypoint script legitimately execs into the app, and apps write their title over their arguments (which may run
 * on into their environment). So the baseline is taken once, when the instance has settled. After that the kernel's
 * start-of-stack address tells a title from an exec: writing over one's own arguments leaves it, every exec moves it.
 * While it is the baseline's, what procfs shows is the process's own writing, and the baseline stands; once it moved,
 * another program runs, and what procfs shows is held against the baseline.
 */
async function programOf(
  pid: number,
  baseline: string,
  settled: boolean,
): Promise<{ readonly observed: Baseline; readonly expected: Baseline }> {
  const now = readProgram(pid);
  if (!settled) return { observed: now, expected: now };
  const text = readText(baseline);
  if (text === undefined) {
    // In a folder that may be gone: what the environment holds is not written to another.
    if (existsSync(dirname(baseline))) await replaceFile(baseline, JSON.stringify(now));
    return { observed: now, expected: now };
  }
  const expected = JSON.parse(text) as Baseline;
  return { observed: now.stackStart === expected.stackStart ? expected : now, expected };
}

function readProgram(pid: number): Baseline {
  const words = (file: string): readonly string[] =>
    (readText(`/proc/${pid}/${file}`) ?? "").split("\0").filter((word) => word !== "");
  return { stackStart: processStat(pid)?.stackStart ?? "", arguments: words("cmdline"), environment: words("environ") };
}

/** How old a scan of all processes may be, in ms: a look at two hundred instances makes do with one. */
const scanAgeMs = 500;
const namespaceKinds = ["pid", "mnt", "net"] as const;

/**
 * Processes that share a namespace with an instance but do not descend from its first process: `runc exec`, nsenter, a
 * shell of somebody who came from outside. Their parent lies outside the instance's pid namespace, so inside it is 0.
 * One whose parent has ended is given to the first process and is no longer told apart.
 */
function enteredProcesses(first: number): InstanceObservation["entered"] {
  const own = namespacesOf(first);
  if (own === undefined) return [];
  const members = namespaceMembers();
  const inside = new Set<number>([first, ...(members.get(own[0] ?? "") ?? [])]);
  const sharing = new Set(own.flatMap((id) => members.get(id) ?? []));
  sharing.delete(first);
  return [...sharing]
    .filter((pid) => {
      const stat = processStat(pid);
      if (stat === undefined || stat.state === "Z" || stat.state === "X") return false;
      return !(inside.has(pid) && inside.has(stat.parent));
    })
    .map((pid) => ({
      pid,
      command: (readText(`/proc/${pid}/cmdline`) ?? "").split("\0").join(" ").trim().slice(0, 200),
    }))
    .sort((a, b) => a.pid - b.pid);
}

let lastScan: { readonly atMs: number; readonly members: ReadonlyMap<string, readonly number[]> } | undefined;

/** Processes by each namespace they are in. One look at many instances scans procfs once, not once for each. */
function namespaceMembers(): ReadonlyMap<string, readonly number[]> {
  const nowMs = performance.now();
  if (lastScan !== undefined && nowMs - lastScan.atMs < scanAgeMs) return lastScan.members;
  const members = new Map<string, number[]>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    for (const id of (Number.isInteger(pid) ? namespacesOf(pid) : undefined) ?? []) {
      const there = members.get(id);
      if (there === undefined) members.set(id, [pid]);
      else there.push(pid);
    }
  }
  lastScan = { atMs: nowMs, members };
  return members;
}

function namespacesOf(pid: number): readonly string[] | undefined {
  try {
    return namespaceKinds.map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`));
  } catch {
    return undefined;
  }
}
