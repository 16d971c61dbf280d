import { constants } from "node:fs";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { splitInstanceName } from "../../model/names.ts";
import type { Clock } from "../../ports/clock.ts";
import { logsToRemove, type KeptLog, type LogBounds } from "./log-bounds.ts";
import { instanceNames, instancePaths, type Folders, type InstancePaths } from "./record.ts";

const keptFiles = 3;
const lookMs = 1_000;
/** While a log grows so fast that it was rotated at the last look. */
const soonMs = 100;
/** What stays of a log that is too large to be kept. */
const endBytes = 64 * 1024;
/** Looks after which all kept logs are added up, also where none was rotated. */
const looksPerSum = 15;
/** Instances of one app and environment whose logs stay after their removal. */
const keptInstances = 50;

// What conmon takes on its control pipe: open the log file again.
const reopenCommand = "2 0 0\n";

/**
 * Looks at the running instances' logs, rotates those that have grown and removes the oldest kept ones beyond the bound;
 * returns the way to stop.
 */
export function keepLogsSmall(folders: Folders, bounds: LogBounds, clock: Clock): () => void {
  let stopped = false;
  let looks = 0;
  let cancel = clock.after(lookMs, () => void look());
  async function look(): Promise<void> {
    const rotated = await Promise.allSettled(
      instanceNames(folders).map((name) => rotateIfLarge(instancePaths(folders, name), bounds.rotateBytes)),
    );
    const isGrowing = rotated.some((result) => result.status === "fulfilled" && result.value);
    looks += 1;
    if (looks % looksPerSum === 1 || isGrowing) await removeOldest(folders, bounds.totalBytes).catch(() => {});
    if (!stopped) cancel = clock.after(isGrowing ? soonMs : lookMs, () => void look());
  }
  return () => {
    stopped = true;
    cancel();
  };
}

/**
 * Rotates one log: NAME.log becomes NAME.log.1 and so on, then conmon is told to open its file anew. It writes to the
 * renamed file until it does, so no line is lost; its own rotation would truncate.
 */
export async function rotateIfLarge(paths: InstancePaths, mostBytes: number): Promise<boolean> {
  const { size } = await stat(paths.log).catch(() => ({ size: 0 }));
  if (size <= mostBytes) return false;
  // A pipe without a reader is refused at once: conmon is gone, and the file must stay its name.
  const control = await open(paths.control, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
  if (control === undefined) return false;
  try {
    for (let index = keptFiles; index > 1; index -= 1)
      await rename(`${paths.log}.${index - 1}`, `${paths.log}.${index}`).catch(() => {});
    await rename(paths.log, `${paths.log}.1`);
    await control.write(reopenCommand);
  } finally {
    await control.close();
  }
  return true;
}

/** Removes the oldest of what is kept (rotated logs, and those of removed instances) beyond the bound. */
export async function removeOldest(folders: Folders, totalBytes: number): Promise<void> {
  const running = new Set(instanceNames(folders).map((name) => `${name}.log`));
  const kept: KeptLog[] = [];
  for (const file of await readdir(folders.logs)) {
    const path = join(folders.logs, file);
    const found = running.has(file) ? undefined : await stat(path).catch(() => undefined);
    if (found?.isFile() === true) kept.push({ path, bytes: found.size, changedMs: found.mtimeMs });
  }
  for (const path of logsToRemove(kept, totalBytes)) {
    // What an app wrote last is what people look for, however much it wrote.
    const isNewest = running.has(basename(path).replace(/\.1$/, ""));
    if (!isNewest || !(await keepEnd(path).catch(() => false))) await rm(path, { force: true });
  }
}

/** Cuts a rotated log to its last lines, in place: on a full disk there is no room for a second file. */
async function keepEnd(path: string): Promise<boolean> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const end = Buffer.alloc(Math.min(size, endBytes));
    await file.read(end, 0, end.length, size - end.length);
    const lines = end.subarray(end.indexOf(10) + 1);
    await file.truncate(0);
    await file.write(lines, 0, lines.length, 0);
    return true;
  } finally {
    await file.close();
  }
}

/** Removes the logs of instances that are gone, but for the newest of each app and environment. */
export async function pruneLogs(folders: Folders): Promise<void> {
  const present = new Set<string>(instanceNames(folders));
  const files = new Map<string, string[]>();
  for (const file of await readdir(folders.logs).catch(() => [])) {
    const name = file.replace(/\.log(\.\d+)?$/, "");
    if (splitInstanceName(name) !== undefined && !present.has(name))
      files.set(name, [...(files.get(name) ?? []), file]);
  }
  const groups = new Map<string, string[]>();
  for (const name of files.keys()) {
    const group = name.replace(/-v\d+-\d+$/, "");
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  for (const names of groups.values()) {
    if (names.length <= keptInstances) continue;
    const aged = await Promise.all(
      names.map(async (name) => ({
        name,
        atMs: (await stat(join(folders.logs, `${name}.log`)).catch(() => undefined))?.mtimeMs ?? 0,
      })),
    );
    aged.sort((a, b) => b.atMs - a.atMs);
    for (const { name } of aged.slice(keptInstances))
      for (const file of files.get(name) ?? []) await rm(join(folders.logs, file), { force: true });
  }
}
