import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readText, replaceFile } from "../../linux/files.ts";

/** Where the kernel tells one boot from another. */
const bootIdFile = "/proc/sys/kernel/random/boot_id";

/**
 * Empties what only means something within one boot, where the run folder itself outlived a reboot: process ids, mounts
 * and sockets in it are then those of other processes, or of none.
 */
export async function forgetEarlierBoot(run: string, folders: readonly string[]): Promise<void> {
  await mkdir(run, { recursive: true, mode: 0o755 });
  const path = join(run, "boot-id");
  const now = readText(bootIdFile) ?? "";
  if (readText(path) !== now) {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
    await replaceFile(path, now);
  }
  for (const folder of folders) await mkdir(folder, { recursive: true, mode: 0o700 });
}
