import type { ResourceSettings } from "../../model/content.ts";
import type { VolumeBinding } from "./attachments.ts";
import { kernelMounts, maskedPaths, readonlyPaths, type OciMount } from "../../linux/oci.ts";
import { secretsInside } from "./secret-place.ts";
import type { OciSeccomp } from "../../linux/seccomp.ts";

/** Everything an instance's configuration is made of. */
export interface SpecInput {
  readonly name: string;
  /** Folder that is mounted as the instance's root, read-only. */
  readonly root: string;
  readonly arguments: readonly string[];
  /** `NAME=value` lines, complete. */
  readonly environment: readonly string[];
  readonly cwd: string;
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  readonly capabilities: readonly string[];
  readonly resources: ResourceSettings;
  /** Absolute paths with a writable tmpfs besides /tmp. */
  readonly tmpfs: readonly string[];
  /** Folders of the host that can be written to inside. */
  readonly volumes: readonly VolumeBinding[];
  /** Files of the host that appear read-only inside. */
  readonly files: readonly { readonly source: string; readonly destination: string }[];
  /** Folder of the host with the instance's secrets; null: it has none. */
  readonly secrets: string | null;
  readonly cgroupsPath: string;
  readonly seccomp: OciSeccomp;
  /** Most open files; above the daemon's own hard limit runc would fail. */
  readonly openFiles: number;
  /** Largest core dump, in bytes. */
  readonly coreBytes: number;
  /** False on cgroup v1 without swap accounting. */
  readonly limitSwap: boolean;
}

/** CPU quotas are given per this many microseconds. */
const cpuPeriodUs = 100_000;

/**
 * The configuration of one instance: no new privileges, every capability dropped but those declared, root read-only,
 * own pid, mount, network, ipc and uts namespaces.
 *
 * @see OCI runtime specification 1.0.2, config.json
 */
export function ociSpec(input: SpecInput): { readonly [key: string]: unknown } {
  const { resources } = input;
  return {
    ociVersion: "1.0.2",
    hostname: input.name.slice(0, 64),
    root: { path: input.root, readonly: true },
    process: {
      terminal: false,
      user: { uid: input.user.uid, gid: input.user.gid, additionalGids: input.user.additionalGids, umask: 0o022 },
      args: input.arguments,
      env: input.environment,
      cwd: input.cwd,
      noNewPrivileges: true,
      capabilities: capabilitiesOf(input),
      rlimits: [
        { type: "RLIMIT_NOFILE", soft: input.openFiles, hard: input.openFiles },
        { type: "RLIMIT_CORE", soft: input.coreBytes, hard: input.coreBytes },
      ],
    },
    mounts: mountsOf(input),
    linux: {
      cgroupsPath: input.cgroupsPath,
      namespaces: [{ type: "pid" }, { type: "network" }, { type: "ipc" }, { type: "uts" }, { type: "mount" }],
      rootfsPropagation: "private",
      maskedPaths,
      readonlyPaths,
      seccomp: input.seccomp,
      resources: {
        devices: [{ allow: false, access: "rwm" }],
        pids: { limit: resources.pids },
        ...(resources.memoryBytes === null
          ? {}
          : { memory: { limit: resources.memoryBytes, ...(input.limitSwap ? { swap: resources.memoryBytes } : {}) } }),
        ...(resources.cpu === null
          ? {}
          : { cpu: { period: cpuPeriodUs, quota: Math.max(1000, Math.round(resources.cpu * cpuPeriodUs)) } }),
      },
    },
  };
}

/** An unprivileged user can use a capability only through the ambient set: nothing in the image may raise it again. */
function capabilitiesOf(input: SpecInput): { readonly [set: string]: readonly string[] } {
  const kept = input.capabilities;
  return {
    bounding: kept,
    effective: kept,
    permitted: kept,
    inheritable: input.user.uid === 0 ? [] : kept,
    ambient: input.user.uid === 0 ? [] : kept,
  };
}

function mountsOf(input: SpecInput): readonly OciMount[] {
  const { uid, gid } = input.user;
  // runc gives a tmpfs the mode of the folder below it, whatever is asked for: who may write is told by the owner.
  const tmpfs = (destination: string): OciMount => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: [
      "nosuid",
      "nodev",
      ...(destination === "/tmp" ? ["mode=1777"] : ["mode=0755", `uid=${uid}`, `gid=${gid}`]),
    ],
  });
  return [
    ...kernelMounts,
    ...[...new Set(["/tmp", ...input.tmpfs])].sort().map(tmpfs),
    ...input.volumes.map(({ source, destination }) => ({
      destination,
      type: "bind",
      source,
      options: ["bind", "rw", "nosuid", "nodev"],
    })),
    ...input.files.map(readOnly),
    ...(input.secrets === null ? [] : [readOnly({ source: input.secrets, destination: secretsInside })]),
  ];
}

function readOnly({ source, destination }: SpecInput["files"][number]): OciMount {
  return { destination, type: "bind", source, options: ["bind", "ro", "nosuid", "nodev", "noexec"] };
}
