import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { readMounts } from "../../linux/mountinfo.ts";
import { mountFlags, type Syscalls } from "../../linux/syscalls.ts";
import type { InstanceName } from "../../model/names.ts";
import type { SecretName } from "../../model/secret.ts";
import type { InstanceSet } from "../../ports/runtime.ts";
import type { Secrets } from "../../ports/secrets.ts";
import { instancePaths, type Folders } from "./record.ts";

/** Where instances find their secrets. */
export const secretsInside = "/run/secrets";

/** @see statfs(2), TMPFS_MAGIC */
const tmpfsMagic = 0x01021994;
const options = "mode=0700,size=512m";

export type SecretValues = ReadonlyMap<SecretName, Buffer>;

/**
 * The only place where values lie plain: a file system in memory that root alone can enter, with a folder for each
 * instance that has secrets. It outlives the daemon, as the instances do.
 */
export interface SecretPlace {
  /** Writes an instance's files, its user's own and read-only. @returns the folder that appears inside */
  give(name: InstanceName, values: SecretValues, user: { readonly uid: number; readonly gid: number }): string;
  /** Removes what instances left that are gone, as a killed daemon leaves it. */
  sweep(present: ReadonlySet<string>): void;
  /** Removes everything. */
  close(): void;
}

export function createSecretPlace(folders: Folders, syscalls: Syscalls): SecretPlace {
  const folder = folders.secrets;

  function mountOnce(): void {
    if (isMounted(folder)) return;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const flags = mountFlags.noSuid | mountFlags.noDevices | mountFlags.noExecution;
    try {
      // Kernels before 6.4 do not know how to keep it out of swap.
      syscalls.mount("tmpfs", folder, "tmpfs", flags, `${options},noswap`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
      syscalls.mount("tmpfs", folder, "tmpfs", flags, options);
    }
  }

  return {
    give(name, values, { uid, gid }) {
      mountOnce();
      if (statfsSync(folder).type !== tmpfsMagic) {
        throw new OperatorError("MACHINE_REFUSED", `Cannot give "${name}" its secrets: "${folder}" is not in memory`, {
          hint: "a plain value must never reach a disk; unmount what was put there and start again",
        });
      }
      const { secrets, secretFiles } = instancePaths(folders, name);
      rmSync(secrets, { recursive: true, force: true });
      mkdirSync(secrets, { mode: 0o700 });
      mkdirSync(secretFiles, { mode: 0o700 });
      for (const [secret, value] of values) {
        const path = join(secretFiles, secret);
        writeFileSync(path, value, { mode: 0o400, flag: "wx" });
        chmodSync(path, 0o400);
        chownSync(path, uid, gid);
      }
      chmodSync(secretFiles, 0o500);
      chownSync(secretFiles, uid, gid);
      return secretFiles;
    },
    sweep(present) {
      if (!isMounted(folder)) return;
      for (const name of readdirSync(folder))
        if (!present.has(name)) rmSync(join(folder, name), { recursive: true, force: true });
    },
    close() {
      if (isMounted(folder)) syscalls.unmount(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function isMounted(folder: string): boolean {
  return readMounts().some(({ target, type }) => target === folder && type === "tmpfs");
}

/** The values that a set's instances see. @throws {OperatorError} `SECRETS_LOCKED`, `SECRET_UNREADABLE` */
export async function secretValues(secrets: Secrets, set: InstanceSet): Promise<SecretValues> {
  const { app, environment, content } = set;
  const values = new Map<SecretName, Buffer>();
  for (const [text, version] of Object.entries(content.secrets)) {
    const name = text as SecretName;
    values.set(name, await secrets.read({ app, environment, name, version }));
  }
  return values;
}
