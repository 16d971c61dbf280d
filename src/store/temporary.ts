import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { ignoreMissing } from "./durable.ts";

/** Names of files that are not finished: `PID-START-RANDOM` in one folder, so that those of killed writers are known. */
export interface Temporaries {
  /** A path that nobody has. The folder is made, and cleared of what dead writers left, at the first call. */
  next(): Promise<string>;
  /** The folder may be gone: makes it anew at the next call. */
  forget(): void;
}

/** @param folders others that are to be made with it */
export function createTemporaries(folder: string, folders: readonly string[] = []): Temporaries {
  let prepared: Promise<string> | undefined;
  const prepare = async (): Promise<string> => {
    for (const path of [...folders, folder]) await mkdir(path, { recursive: true, mode: 0o755 });
    // Others may be at it too.
    for (const path of await leftByDead(folder)) await rm(path, { recursive: true, force: true, maxRetries: 5 });
    return thisProcess();
  };
  return {
    next: async () => named(folder, await (prepared ??= prepare())),
    forget: () => (prepared = undefined),
  };
}

/** A path that nobody has, in a folder that may not be there. */
export async function temporaryIn(folder: string): Promise<string> {
  return named(folder, await thisProcess());
}

function named(folder: string, self: string): string {
  return join(folder, `${self}-${randomBytes(8).toString("hex")}`);
}

/** Entries of a folder that are named `PID-START…` after a process that lives no more. */
export async function leftByDead(folder: string): Promise<readonly string[]> {
  const dead: string[] = [];
  for (const name of (await readdir(folder).catch(ignoreMissing)) ?? []) {
    const [pid, start] = name.split("-");
    if (!/^[0-9]+$/.test(pid ?? "") || (await startOf(pid ?? "")) !== start) dead.push(join(folder, name));
  }
  return dead;
}

/** `PID-START`: names this process and no later one. */
export async function thisProcess(): Promise<string> {
  return `${process.pid}-${(await startOf("self")) ?? "0"}`;
}

/** Start time of a process in clock ticks since boot. */
async function startOf(pid: string): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return line?.slice(line.lastIndexOf(")") + 2).split(" ")[19];
}
