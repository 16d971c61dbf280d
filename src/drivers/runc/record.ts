import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../../model/canonical.ts";
import { splitInstanceName, type InstanceName, type SetName } from "../../model/names.ts";
import type { Places } from "../../model/places.ts";
import type { AttachedVolume } from "../../model/volumes.ts";
import type { Exit } from "../../model/observation.ts";
import { readText } from "../../linux/files.ts";
import type { UsedLayer } from "./layers.ts";
import type { ProcessIdentity } from "../../linux/processes.ts";

/** What is written about an instance before it is made. */
export interface InstanceRecord {
  readonly name: InstanceName;
  readonly set: SetName;
  readonly ordinal: number;
  readonly digest: Digest;
  readonly artifact: Digest;
  readonly layers: readonly UsedLayer[];
  readonly address: string;
  readonly port: number;
  readonly startedAtMs: number;
  /** Volumes it has; absent: none. */
  readonly volumes?: readonly AttachedVolume[];
  /** It has secrets; absent: none. */
  readonly hasSecrets?: boolean;
}

/** What is written once it exists: truth at that moment, to be held against later. */
export interface InstanceBirth {
  readonly process: ProcessIdentity;
  readonly supervisor: ProcessIdentity;
  /** Device of the file system that is its root. */
  readonly rootDevice: string;
  readonly mounts: readonly string[];
  /** The pipes it writes its output to, `pipe:[12345]`. */
  readonly output: { readonly stdout: string; readonly stderr: string };
}

/** Where an instance's files are. */
export interface InstancePaths {
  readonly bundle: string;
  readonly record: string;
  readonly birth: string;
  readonly baseline: string;
  /** Of an instance with secrets: its folder in memory, the files that it sees, and what may hold values besides. */
  readonly secrets: string;
  readonly secretFiles: string;
  readonly secretBaseline: string;
  readonly secretConfig: string;
  readonly supervisorPid: string;
  readonly control: string;
  readonly outOfMemory: string;
  readonly exit: string;
  readonly runtimeState: string;
  readonly log: string;
}

export interface Folders {
  readonly instances: string;
  readonly exits: string;
  readonly runtimeRoot: string;
  readonly logs: string;
  /** In memory, root's alone. */
  readonly secrets: string;
}

export function foldersOf(places: Places): Folders {
  return {
    instances: join(places.run, "instances"),
    exits: join(places.run, "exits"),
    runtimeRoot: join(places.run, "runc"),
    logs: join(places.log, "instances"),
    secrets: join(places.run, "secrets"),
  };
}

export function instancePaths(folders: Folders, name: string): InstancePaths {
  const bundle = join(folders.instances, name);
  const secrets = join(folders.secrets, name);
  return {
    bundle,
    record: join(bundle, "bronze.json"),
    birth: join(bundle, "birth.json"),
    baseline: join(bundle, "baseline.json"),
    secrets,
    secretFiles: join(secrets, "files"),
    secretBaseline: join(secrets, "baseline.json"),
    secretConfig: join(secrets, "config.json"),
    supervisorPid: join(bundle, "conmon.pid"),
    control: join(bundle, "ctl"),
    outOfMemory: join(bundle, "oom"),
    exit: join(folders.exits, name),
    runtimeState: join(folders.runtimeRoot, name),
    log: join(folders.logs, `${name}.log`),
  };
}

/** Names of all instances that have a bundle, sorted. */
export function instanceNames(folders: Folders): readonly InstanceName[] {
  try {
    return readdirSync(folders.instances)
      .filter((name): name is InstanceName => splitInstanceName(name) !== undefined)
      .sort();
  } catch {
    return [];
  }
}

function readJson(path: string): unknown {
  const text = readText(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export const readRecord = (paths: InstancePaths): InstanceRecord | undefined =>
  readJson(paths.record) as InstanceRecord | undefined;
export const readBirth = (paths: InstancePaths): InstanceBirth | undefined =>
  readJson(paths.birth) as InstanceBirth | undefined;

/** How it ended, from the files its supervisor left. */
export function readExit(paths: InstancePaths): Exit | undefined {
  const text = readText(paths.exit);
  if (text === undefined || !/^\d+$/.test(text.trim())) return undefined;
  return {
    code: Number(text),
    outOfMemory: readText(paths.outOfMemory) !== undefined,
    atMs: Math.round(statSync(paths.exit).mtimeMs),
  };
}
