import type { OciSeccomp } from "../../linux/seccomp.ts";
import { kernelMounts, maskedPaths, readonlyPaths, type OciMount } from "../../linux/oci.ts";
import type { ResolvedUser } from "../../linux/user.ts";

/** What the configuration of a step's container is made of. */
export interface StepSpecInput {
  readonly root: string;
  readonly arguments: readonly string[];
  /** `NAME=value` lines, complete; secret ones among them. */
  readonly environment: readonly string[];
  readonly cwd: string;
  readonly user: ResolvedUser;
  /** After those of the kernel's file systems, in order. */
  readonly mounts: readonly OciMount[];
  readonly cgroupsPath: string;
  readonly seccomp: OciSeccomp;
  readonly openFiles: number;
  readonly mostProcesses: number;
}

/** The same everywhere: what programs write into files must not tell machines apart. */
export const hostName = "bronze";

/** Under memory pressure build steps go first, not what serves requests. @see proc_pid_oom_score_adj(5) */
const oomScoreAdj = 900;

/** What package managers need to install files for several users; the set that Docker gives containers. */
export const stepCapabilities: readonly string[] = [
  "CAP_AUDIT_WRITE",
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
];

/**
 * The configuration of a step's container: own pid, mount, ipc and uts namespaces; that of the network is inherited from the process that
 * starts it. No devices but those every container has.
 *
 * @see OCI runtime specification 1.0.2, config.json
 */
export function stepSpec(input: StepSpecInput): { readonly [key: string]: unknown } {
  const { user } = input;
  return {
    ociVersion: "1.0.2",
    hostname: hostName,
    root: { path: input.root, readonly: false },
    process: {
      terminal: false,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids, umask: 0o022 },
      args: input.arguments,
      env: input.environment,
      cwd: input.cwd,
      // As elsewhere: sudo and su are part of many build steps.
      noNewPrivileges: false,
      capabilities: { bounding: stepCapabilities, effective: stepCapabilities, permitted: stepCapabilities },
      rlimits: [
        { type: "RLIMIT_NOFILE", soft: input.openFiles, hard: input.openFiles },
        { type: "RLIMIT_CORE", soft: 0, hard: 0 },
      ],
      oomScoreAdj,
    },
    mounts: [...kernelMounts, ...input.mounts],
    linux: {
      cgroupsPath: input.cgroupsPath,
      namespaces: [{ type: "pid" }, { type: "ipc" }, { type: "uts" }, { type: "mount" }],
      rootfsPropagation: "private",
      maskedPaths,
      readonlyPaths,
      seccomp: input.seccomp,
      resources: { devices: [{ allow: false, access: "rwm" }], pids: { limit: input.mostProcesses } },
    },
  };
}
