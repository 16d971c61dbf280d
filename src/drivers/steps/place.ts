import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { digestHex, sha256 } from "../../model/canonical.ts";
import { removeTopGroup, topGroups } from "../../linux/cgroups.ts";
import { removeStepFirewall, stepInterfaces } from "./firewall.ts";
import { identify, isAlive, type ProcessIdentity } from "../../linux/processes.ts";

/** Where one step works. */
export interface StepPlace {
  /** Empty; on the file system of the unpacked layers. */
  readonly folder: string;
  /** Topmost control group of the step. */
  readonly cgroup: string;
  /** Name of its interface on this machine. */
  readonly interfaceName: string;
  /** Takes all of it away. */
  remove(): Promise<void>;
}

/** One builder's places; what builders that are gone left was removed when the first was asked for. */
export interface Places {
  step(): Promise<StepPlace>;
  /** An empty folder; the caller removes it. */
  scratch(): Promise<string>;
  /** Names rules of the firewall that hold for this builder alone, and interfaces that they are about. */
  readonly networkName: string;
  close(): Promise<void>;
}

/** What a builder left on the machine. */
export interface StepLeftover {
  readonly subject: string;
  readonly finding: string;
  remove(): Promise<void>;
}

/** Folder of all builders' places, in that of the build cache. */
export function stepsFolder(cacheDir: string): string {
  return join(cacheDir, "steps");
}

const folderName = /^([0-9]+)-([0-9]+)$/;

/** Folders are `DIR/PID-START/N`, so that it is seen whose builder is gone. @param dir no other's */
export function createPlaces(dir: string): Places {
  const self = identify(process.pid) ?? { pid: process.pid, start: "0" };
  const own = join(dir, `${self.pid}-${self.start}`);
  let prepared: Promise<void> | undefined;
  let count = 0;

  const prepare = async (): Promise<void> => {
    await mkdir(own, { recursive: true, mode: 0o700 });
    for (const { remove } of await stepLeftovers(dir)) await remove();
  };
  const folder = async (): Promise<{ readonly path: string; readonly number: number }> => {
    await (prepared ??= prepare());
    const number = (count += 1);
    const path = join(own, String(number));
    await mkdir(path, { mode: 0o700 });
    return { path, number };
  };

  return {
    networkName: networkName(dir, self),
    scratch: async () => (await folder()).path,
    async step() {
      const { path, number } = await folder();
      const cgroup = `${cgroupPrefix(dir, self)}${number}`;
      return {
        folder: path,
        cgroup,
        interfaceName: `${stepInterfaces}${networkName(dir, self)}${number.toString(16)}`,
        async remove() {
          await removeTopGroup(cgroup);
          await rm(path, { recursive: true, force: true });
        },
      };
    },
    async close() {
      if (prepared === undefined) return;
      await prepared.catch(() => {});
      await rm(own, { recursive: true, force: true });
    },
  };
}

/** What builders left that are gone: folders, control groups, rules of the firewall. Their processes, mounts and interfaces went with them. */
export async function stepLeftovers(dir: string): Promise<readonly StepLeftover[]> {
  const names = await readdir(dir).catch(() => []);
  return names.flatMap((name) => {
    const [, pid, start] = folderName.exec(name) ?? [];
    if (pid === undefined || start === undefined) return [];
    const builder = { pid: Number(pid), start };
    if (isAlive(builder)) return [];
    const path = join(dir, name);
    return [
      {
        subject: path,
        finding: "of build steps whose builder is gone",
        async remove() {
          for (const group of topGroups(cgroupPrefix(dir, builder))) await removeTopGroup(group);
          await removeStepFirewall(networkName(dir, builder));
          // A program that the builder had started may write there for a moment yet.
          await rm(path, { recursive: true, force: true, maxRetries: 10 });
        },
      },
    ];
  });
}

function cgroupPrefix(dir: string, builder: ProcessIdentity): string {
  return `bronze-build-${tagOf(dir).slice(0, 8)}-${builder.pid}-`;
}

/** The first half is the folder's, the second the builder's: an interface's name has no room for more. */
function networkName(dir: string, builder: ProcessIdentity): string {
  return `${tagOf(dir).slice(0, 4)}${tagOf(`${builder.pid}-${builder.start}`).slice(0, 4)}`;
}

function tagOf(text: string): string {
  return digestHex(sha256(text));
}
