import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { namesIn } from "./durable.ts";

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
    for (const path of [...folders, folder]) mkdirSync(path, { recursive: true, mode: 0o755 });
    // Others may be at it too.
    for (const path of leftByDead(folder)) await rm(path, { recursive: true, force: true, maxRetries: 5 });
    return thisProcess();
  };
  return {
    next: async () => named(folder, await (prepared ??= prepare())),
    forget: () => (prepared = undefined),
  };
}

/** A path that nobody has, in a folder that may not be there. */
export function temporaryIn(folder: string): string {
  return named(folder, thisProcess());
}

function named(folder: string, self: string): string {
  return join(folder, `${self}-${randomBytes(8).toString("hex")}`);
}

/** Entries of a folder that are named `PID-START…` after a process that lives no more. */
export function leftByDead(folder: string): readonly string[] {
  const dead: string[] = [];
  for (const name of namesIn(folder) ?? []) {
    const [pid, start] = name.split("-");
    if (!/^[0-9]+$/.test(pid ?? "") || startOf(pid ?? "") !== start) dead.push(join(folder, name));
  }
  return dead;
}

/** `PID-START`: names this process and no later one. */
export function thisProcess(): string {
  return `${process.pid}-${startOf("self") ?? "0"}`;
}

/** Start time of a process in clock ticks since boot. */
function startOf(pid: string): string | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  return line.slice(line.lastIndexOf(")") + 2).split(" ")[19];
}
