import { readFile, open } from "node:fs/promises";
import { join } from "node:path";
import { hostsFile } from "../../linux/host-files.ts";
import { splitInstanceName, type EnvironmentName, type InstanceName } from "../../model/names.ts";
import type { AppAddresses } from "../../model/observation.ts";
import { instanceNames, instancePaths, readRecord, type Folders } from "./record.ts";

/** Most files that are written at once. */
const atOnce = 16;

/** The apps' names in instances' /etc/hosts. */
export interface HostNames {
  /** An instance's whole file, as its environment's names are now. */
  text(name: InstanceName, environment: EnvironmentName, address: string): string;
  tell(environment: EnvironmentName, apps: readonly AppAddresses[]): Promise<void>;
}

export function createHostNames(folders: Folders): HostNames {
  const known = new Map<EnvironmentName, readonly AppAddresses[]>();
  const text = (name: InstanceName, environment: EnvironmentName, address: string): string =>
    hostsFile(name, address, known.get(environment));

  async function put(name: InstanceName, environment: EnvironmentName): Promise<void> {
    const paths = instancePaths(folders, name);
    const address = readRecord(paths)?.address;
    if (address !== undefined) await rewrite(join(paths.bundle, "hosts"), () => text(name, environment, address));
  }

  return {
    text,
    async tell(environment, apps) {
      // Known first: what is being started meanwhile begins with it, or has its file by now and is found.
      known.set(environment, apps);
      const names = instanceNames(folders).filter((name) => splitInstanceName(name)?.environment === environment);
      for (let from = 0; from < names.length; from += atOnce)
        await Promise.all(names.slice(from, from + atOnce).map((name) => put(name, environment)));
    },
  };
}

/**
 * Puts another text into a file that instances have mounted, so that it must stay the same file: with one write of no
 * more bytes than differ, and never made shorter, so that a reader meanwhile sees the old text or the new one.
 */
async function rewrite(path: string, textNow: () => string): Promise<void> {
  const before = await readFile(path).catch(() => undefined);
  // Not there yet, or gone with its instance.
  if (before === undefined) return;
  const file = await open(path, "r+").catch(() => undefined);
  if (file === undefined) return;
  try {
    const text = Buffer.from(textNow());
    const after = Buffer.concat([text, Buffer.alloc(Math.max(0, before.length - text.length), "\n")]);
    const { from, to } = differing(before, after);
    if (from < to) await file.write(after, from, to - from, from);
  } finally {
    await file.close();
  }
}

/** The stretch in which bytes differ, `after` being no shorter. */
export function differing(before: Uint8Array, after: Uint8Array): { readonly from: number; readonly to: number } {
  let from = 0;
  while (from < before.length && before[from] === after[from]) from += 1;
  let to = after.length;
  if (before.length === after.length) while (to > from && before[to - 1] === after[to - 1]) to -= 1;
  return { from, to };
}
