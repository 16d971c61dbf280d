import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { digestHex, type Digest } from "../model/canonical.ts";

/** A file that blobs come into; nobody else writes to it. */
export interface Partial {
  readonly path: string;
  /** Leaves it for the next one who wants the blob. */
  release(): Promise<void>;
  remove(): Promise<void>;
}

const keptMs = 7 * 24 * 3600 * 1000;

/**
 * Begun downloads in a folder: `HEX` when nobody is at it, `HEX.PID-START-RANDOM` while somebody is. Renaming makes one
 * of several takers the owner; what a killed one left is taken over, or removed after a week.
 */
export async function takePartial(folder: string, digest: Digest): Promise<Partial> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const hex = digestHex(digest);
  const free = join(folder, hex);
  const path = `${free}.${process.pid}-${(await startOf("self")) ?? "0"}-${randomBytes(4).toString("hex")}`;
  let found = false;
  for (const name of await readdir(folder)) {
    const match = /^([0-9a-f]{64})(?:\.([0-9]+)-([0-9]+)-[0-9a-f]{8})?$/.exec(name);
    if (match === null) continue;
    const [, blob, pid, start] = match;
    if (pid !== undefined && (await startOf(pid)) === start) continue;
    const other = join(folder, name);
    if (blob === hex && !found) found = await rename(other, path).then(yes, no);
    else if (blob === hex || (await isOld(other))) await rm(other, { force: true });
  }
  return {
    path,
    release: () => rename(path, free).catch(() => undefined),
    remove: () => rm(path, { force: true }),
  };
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.mtimeMs < Date.now() - keptMs;
}

/** Start time of a process in clock ticks since boot: with its id, it names one process and no later one. */
async function startOf(pid: string): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return line?.slice(line.lastIndexOf(")") + 2).split(" ")[19];
}

const yes = (): boolean => true;
const no = (): boolean => false;
