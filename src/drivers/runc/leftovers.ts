import { existsSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { digestHex, type Digest } from "../../model/canonical.ts";
import type { Places } from "../../model/places.ts";
import { createCgroups } from "../../linux/cgroups.ts";
import { readText } from "../../linux/files.ts";
import { removeImage, temporaryPrefix } from "./layer-image.ts";
import { readMounts } from "../../linux/mountinfo.ts";
import { bridgesOf, removeNetworks } from "./network.ts";
import { isAlive } from "../../linux/processes.ts";
import { foldersOf, instanceNames, instancePaths, readBirth } from "./record.ts";
import { probePrefix } from "./root-mode.ts";
import { loadSyscalls } from "../../linux/syscalls.ts";

/** Something of ours that nothing needs any more. */
export interface Leftover {
  readonly subject: string;
  readonly finding: string;
  remove(): Promise<void>;
}

/** Leftovers beside the layers' images: of images being made when their daemon was killed, and of those set aside. */
export function imageLeftovers(
  places: Places,
  known: ReadonlyMap<Digest, Digest>,
  isDaemonRunning: boolean,
): readonly Leftover[] {
  const folder = join(places.state, "layers");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const needed = new Set([...known.keys()].map(digestHex));
  const found: Leftover[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const finding = name.endsWith(".touched")
      ? "an image that was set aside because its bytes were not those recorded"
      : isDaemonRunning
        ? // What is being made now looks the same.
          undefined
        : name.startsWith(temporaryPrefix) || name.startsWith(probePrefix)
          ? "of an image that was being made"
          : /^[0-9a-f]{64}\.(erofs|tree)$/.test(name) && !needed.has(name.slice(0, 64))
            ? "an image that the ledger does not know"
            : undefined;
    if (finding !== undefined) found.push({ subject: path, finding, remove: () => removeImage(path) });
  }
  return found;
}

/** What instances left on the machine, while no daemon runs: whatever still lives is left alone. */
export function machineLeftovers(places: Places): readonly Leftover[] {
  const folders = foldersOf(places);
  const present = new Set<string>(instanceNames(folders));
  const isAnyAlive = [...present].some((name) => {
    const birth = readBirth(instancePaths(folders, name));
    return birth !== undefined && isAlive(birth.process);
  });
  const cgroups = createCgroups(places.tag);
  const found: Leftover[] = cgroups
    .groups()
    .filter((name) => !present.has(name) && cgroups.members(name).length === 0)
    .map((name) => ({
      subject: cgroups.instancePath(name),
      finding: "a control group without an instance",
      remove: () => cgroups.removeInstance(name),
    }));
  if (isAnyAlive) return found;
  const syscalls = loadSyscalls();
  // Above first: what is mounted later lies on what was mounted before.
  for (const { target } of readMounts().toReversed()) {
    if (
      !target.startsWith(`${join(places.run, "layers")}/`) &&
      !target.startsWith(`${join(places.run, "roots")}/`) &&
      target !== folders.secrets
    )
      continue;
    found.push({
      subject: target,
      finding: "a mount that no instance uses",
      remove: async () => syscalls.unmount(target),
    });
  }
  const bridges = bridgesOf(places.tag);
  if (bridges.length > 0) {
    found.push({
      subject: bridges.join(", "),
      finding: `${bridges.length === 1 ? "a bridge" : "bridges"} and firewall rules without instances`,
      remove: () => removeNetworks(places.tag),
    });
  }
  return found;
}

/** A file that says which process holds something, and that process is gone. */
export function staleProcessFile(path: string): Leftover | undefined {
  const text = readText(path);
  if (text === undefined || existsSync(`/proc/${Number.parseInt(text, 10)}`)) return undefined;
  return { subject: path, finding: "it names a process that is gone", remove: () => rm(path, { force: true }) };
}
