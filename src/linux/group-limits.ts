import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import type { EnvironmentLimits } from "../model/content.ts";
import { readText } from "./files.ts";
import type { MountEntry } from "./mountinfo.ts";

/** CPU quotas are given per this many microseconds. */
const cpuPeriodUs = 100_000;
const leastQuotaUs = 1_000;

export interface LimitedGroup {
  readonly mounts: readonly MountEntry[];
  readonly version: "v1" | "v2";
  readonly limitsSwap: boolean;
  /** Path in each tree, without a slash at the beginning; made where it is not there. */
  readonly path: string;
}

/**
 * Limits a group and all below it together.
 *
 * @throws {OperatorError} `MACHINE_REFUSED` when the kernel takes a limit not, as one below what is in use now
 * @see cgroups(7); Linux documentation, admin-guide/cgroup-v1 and cgroup-v2
 */
export function limitGroup(group: LimitedGroup, limits: EnvironmentLimits): void {
  try {
    if (group.version === "v2") limitUnified(group, limits);
    else limitByTree(group, limits);
  } catch (cause) {
    throw new OperatorError(
      "MACHINE_REFUSED",
      `Cannot limit ${group.path.split("/").at(-1) ?? ""} to ${limitsText(limits)}`,
      {
        hint: "its instances may use more than that now; the controllers memory, cpu and pids must be there: `bronze doctor` tells",
        cause,
      },
    );
  }
}

function limitUnified({ mounts, path }: LimitedGroup, { memoryBytes, cpu, pids }: EnvironmentLimits): void {
  const root = mounts[0]?.target ?? "/sys/fs/cgroup";
  const folder = join(root, path);
  mkdirSync(folder, { recursive: true });
  const above = path.split("/").slice(0, -1);
  for (let depth = 0; depth <= above.length; depth += 1)
    writeFileSync(join(root, ...above.slice(0, depth), "cgroup.subtree_control"), "+memory +cpu +pids");
  writeFileSync(join(folder, "memory.swap.max"), memoryBytes === null ? "max" : "0");
  writeFileSync(join(folder, "memory.max"), String(memoryBytes ?? "max"));
  writeFileSync(join(folder, "cpu.max"), `${cpu === null ? "max" : quotaUs(cpu)} ${cpuPeriodUs}`);
  writeFileSync(join(folder, "pids.max"), String(pids ?? "max"));
}

function limitByTree(group: LimitedGroup, { memoryBytes, cpu, pids }: EnvironmentLimits): void {
  const folderOf = (controller: string): string => {
    const tree = group.mounts.find(({ superOptions }) => superOptions.split(",").includes(controller));
    if (tree === undefined) throw new Error(`there is no controller ${controller}`);
    const folder = join(tree.target, group.path);
    mkdirSync(folder, { recursive: true });
    return folder;
  };
  limitMemory(folderOf("memory"), memoryBytes, group.limitsSwap);
  limitCpu(folderOf("cpu"), cpu);
  writeFileSync(join(folderOf("pids"), "pids.max"), String(pids ?? "max"));
}

/** Memory with swap may never be less than memory alone, at no moment. */
function limitMemory(folder: string, bytes: number | null, withSwap: boolean): void {
  const limit = String(bytes ?? -1);
  const files = ["memory.limit_in_bytes", ...(withSwap ? ["memory.memsw.limit_in_bytes"] : [])];
  const now = Number(readText(join(folder, files.at(-1) ?? "")) ?? 0);
  const isRaised = bytes === null || bytes > now;
  for (const file of isRaised ? files.toReversed() : files) writeFileSync(join(folder, file), limit);
}

/** A group below may not have more than the one above, or the kernel takes neither: it gets what there is. */
function limitCpu(folder: string, cpu: number | null): void {
  if (cpu !== null) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const child = join(folder, entry.name);
      const quota = Number(readText(join(child, "cpu.cfs_quota_us")) ?? -1);
      const period = Number(readText(join(child, "cpu.cfs_period_us")) ?? cpuPeriodUs);
      if (quota > 0 && quota / period > cpu)
        writeFileSync(join(child, "cpu.cfs_quota_us"), String(Math.max(leastQuotaUs, Math.floor(cpu * period))));
    }
  }
  writeFileSync(join(folder, "cpu.cfs_period_us"), String(cpuPeriodUs));
  writeFileSync(join(folder, "cpu.cfs_quota_us"), String(cpu === null ? -1 : quotaUs(cpu)));
}

const quotaUs = (cpu: number): number => Math.max(leastQuotaUs, Math.round(cpu * cpuPeriodUs));

function limitsText({ memoryBytes, cpu, pids }: EnvironmentLimits): string {
  const parts = [
    ...(memoryBytes === null ? [] : [`${memoryBytes} bytes of memory`]),
    ...(cpu === null ? [] : [`${cpu} CPUs`]),
    ...(pids === null ? [] : [`${pids} processes`]),
  ];
  return parts.length === 0 ? "nothing" : parts.join(", ");
}
