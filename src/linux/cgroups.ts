import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EnvironmentLimits } from "../model/content.ts";
import { splitInstanceName } from "../model/names.ts";
import { readText } from "./files.ts";
import { limitGroup } from "./group-limits.ts";
import { readMounts, type MountEntry } from "./mountinfo.ts";

/** The machine's cgroup trees, and our parts of them. */
export interface Cgroups {
  readonly version: "v1" | "v2";
  /** Swap can be limited. */
  readonly limitsSwap: boolean;
  /** Path of an instance's group, the same in every tree: in that of its app and environment. */
  instancePath(name: string): string;
  /**
   * Limits all instances of an app in an environment together; null: what held them goes, if nothing runs in it.
   *
   * @throws {OperatorError} `MACHINE_REFUSED`
   */
  confine(app: string, environment: string, limits: EnvironmentLimits | null): Promise<void>;
  /** Gives all instances together ten times the CPU of a session or service that wants it too; where we may. */
  goFirst(): void;
  /**
   * Moves a supervisor into a group of its own, or it would end with the daemon's. Takes some 10 ms where the kernel waits
   * for all CPUs to notice.
   */
  adopt(pid: number): Promise<void>;
  /** Names of all groups of ours: of instances, of what is left of them, and of apps and environments that hold none. */
  groups(): readonly string[];
  /** Processes in an instance's groups. */
  members(name: string): readonly number[];
  /** Removes an instance's groups; what is still in them, or comes into them meanwhile, is killed. */
  removeInstance(name: string): Promise<void>;
  removeAll(): Promise<void>;
}

/** Where each tree of cgroups is mounted; once, though a chroot's bind mounts show it again. */
export function cgroupTrees(): readonly MountEntry[] {
  const mounts = readMounts().filter(({ type }) => type === "cgroup" || type === "cgroup2");
  return mounts.filter(({ device }, index) => mounts.findIndex((other) => other.device === device) === index);
}

/** @see cgroups(7), "hybrid": v1 controllers and an empty v2 tree beside them */
export function createCgroups(tag: string): Cgroups {
  const mounts = cgroupTrees();
  const trees = mounts.map(({ target }) => target);
  // Service managers tell what belongs to a service by these.
  const adoptive = mounts
    .filter(({ type, superOptions }) => type === "cgroup2" || superOptions.split(",").includes("name=systemd"))
    .map(({ target }) => target);
  const version = mounts.some(({ type }) => type === "cgroup") ? "v1" : "v2";
  const parent = `bronze-${tag}`;
  const supervisors = `${parent}/supervisors`;
  const memory = mounts.find(({ superOptions }) => superOptions.split(",").includes("memory"))?.target;
  const cpu =
    version === "v2"
      ? mounts[0]?.target
      : mounts.find(({ superOptions }) => superOptions.split(",").includes("cpu"))?.target;

  const limitsSwap =
    version === "v2" ||
    (memory !== undefined && existsSync(join(memory, "memory.memsw.limit_in_bytes"))) ||
    (memory !== undefined && swapInChild(memory));
  /** Instances of an earlier version, which had no group of an app and environment around them. */
  const old = new Set(trees.flatMap((tree) => foldersIn(join(tree, parent)).filter(isInstance)));
  function pathOf(name: string): string {
    const parts = splitInstanceName(name);
    return parts === undefined ? `${parent}/${name}` : `${parent}/${groupOf(parts.app, parts.environment)}/${name}`;
  }
  const pathsOf = (name: string): readonly string[] =>
    old.has(name) ? [pathOf(name), `${parent}/${name}`] : [pathOf(name)];

  return {
    version,
    limitsSwap,
    instancePath: (name) => `/${pathOf(name)}`,
    async confine(app, environment, limits) {
      const path = `${parent}/${groupOf(app, environment)}`;
      // Without limits nothing has to be there: runc makes what is missing.
      if (limits !== null) {
        const isLimited = limits.memoryBytes !== null || limits.cpu !== null || limits.pids !== null;
        if (isLimited || trees.some((tree) => existsSync(join(tree, path))))
          limitGroup({ mounts, version, limitsSwap, path }, limits);
        return;
      }
      await Promise.all(trees.map((tree) => rmdir(join(tree, path)).catch(() => {})));
    },
    goFirst() {
      if (cpu === undefined) return;
      const [file, share] = version === "v1" ? ["cpu.shares", 10_240] : ["cpu.weight", 1000];
      try {
        if (version === "v2") writeFileSync(join(cpu, "cgroup.subtree_control"), "+cpu");
        mkdirSync(join(cpu, parent), { recursive: true });
        writeFileSync(join(cpu, parent, file), String(share));
      } catch {
        // Without the CPU's controller instances have what any session has.
      }
    },
    async adopt(pid) {
      await Promise.all(
        adoptive.map(async (tree) => {
          const folder = join(tree, supervisors);
          await mkdir(folder, { recursive: true });
          await writeFile(join(folder, "cgroup.procs"), String(pid));
        }),
      );
    },
    groups: () => [
      ...new Set(
        trees.flatMap((tree) =>
          foldersIn(join(tree, parent))
            .filter((name) => name !== "supervisors")
            .flatMap((name) => {
              const inside = foldersIn(join(tree, parent, name));
              return inside.length === 0 ? [name] : inside;
            }),
        ),
      ),
    ],
    members: (name) => [
      ...new Set(trees.flatMap((tree) => pathsOf(name).flatMap((path) => processesIn(join(tree, path))))),
    ],
    removeInstance: async (name) => {
      await Promise.all(trees.flatMap((tree) => pathsOf(name).map((path) => removeTree(join(tree, path), killAll))));
    },
    removeAll: async () => {
      await Promise.all(trees.map((tree) => removeTree(join(tree, parent))));
    },
  };
}

const isInstance = (name: string): boolean => splitInstanceName(name) !== undefined;

/** An instance's name ends in a number, which no environment's name begins with: it is never the same. */
function groupOf(app: string, environment: string): string {
  return `${app}-${environment}`;
}

function processesIn(folder: string): readonly number[] {
  const lines = readText(join(folder, "cgroup.procs"))?.split("\n") ?? [];
  // One of another pid namespace stands there as 0, which would mean all of our own process group.
  return lines.map(Number).filter((pid) => pid > 0);
}

function killAll(folder: string): void {
  for (const pid of processesIn(folder)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone.
    }
  }
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

/** Names of the topmost groups that begin so, in any tree. */
export function topGroups(prefix: string): readonly string[] {
  const names = cgroupTrees().flatMap(({ target }) => {
    try {
      return readdirSync(target).filter((name) => name.startsWith(prefix));
    } catch {
      return [];
    }
  });
  return [...new Set(names)];
}

/** Removes a topmost group, whose processes are gone or going, from every tree. */
export async function removeTopGroup(name: string): Promise<void> {
  await Promise.all(cgroupTrees().map(({ target }) => removeTree(join(target, name))));
}

/** Where the file of a controller of a topmost group is; undefined: this machine has no such controller. */
export function controllerFile(name: string, controller: string, file: string): string | undefined {
  const trees = cgroupTrees();
  // Where both kinds are mounted, the unified tree has what no other one took.
  const tree =
    trees.find(({ type, superOptions }) => type === "cgroup" && superOptions.split(",").includes(controller)) ??
    trees.find(({ type }) => type === "cgroup2");
  return tree === undefined ? undefined : join(tree.target, name, file);
}

function swapInChild(memory: string): boolean {
  // The root group has no such file on some kernels; our own group, a child, tells.
  try {
    const own = /^\d+:memory:(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
    return own !== undefined && existsSync(join(memory, own, "memory.memsw.limit_in_bytes"));
  } catch {
    return false;
  }
}

const tries = 1000;
const pauseMs = 10;

/** Children first; a group whose last process is just going is busy for a moment, longer where the machine is. */
async function removeTree(folder: string, whileBusy: (folder: string) => void = () => {}): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name), whileBusy);
  for (let attempt = 0; attempt < tries; attempt += 1) {
    try {
      return await rmdir(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || attempt === tries - 1) throw error;
      whileBusy(folder);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
