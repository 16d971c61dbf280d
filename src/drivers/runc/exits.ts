import { watch } from "node:fs";
import { splitInstanceName, type InstanceName } from "../../model/names.ts";
import type { Exit } from "../../model/observation.ts";
import { instancePaths, readExit, type Folders } from "./record.ts";

/** Tells of exits, from one watch on the folder into which all supervisors write them. */
export interface Exits {
  onExit(listener: (name: InstanceName, exit: Exit) => void): () => void;
  /** Resolves at the exit, at once if it is known; undefined when it does not come within `forMs`. */
  wait(name: InstanceName, forMs: number, signal?: AbortSignal): Promise<Exit | undefined>;
  /** Tells of the exit now if nobody was told yet: what tells of it is about to be removed. */
  tell(name: InstanceName): void;
  /** The name may be used again. */
  forget(name: InstanceName): void;
  stop(): void;
}

export function watchExits(folders: Folders): Exits {
  const listeners = new Set<(name: InstanceName, exit: Exit) => void>();
  const told = new Set<string>();
  const watcher = watch(folders.exits, (_, file) => {
    if (file !== null) tell(file);
  });
  watcher.unref();

  function tell(file: string): void {
    const name = splitInstanceName(file) === undefined ? undefined : (file as InstanceName);
    if (name === undefined || told.has(name)) return;
    const exit = readExit(instancePaths(folders, name));
    if (exit === undefined) return;
    told.add(name);
    for (const listener of listeners) listener(name, exit);
  }

  function onExit(listener: (name: InstanceName, exit: Exit) => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  return {
    onExit,
    wait(name, forMs, signal) {
      return new Promise((resolve) => {
        const done = (exit: Exit | undefined): void => {
          clearTimeout(timer);
          stop();
          signal?.removeEventListener("abort", giveUp);
          resolve(exit);
        };
        const giveUp = (): void => done(undefined);
        const stop = onExit((exited, exit) => exited === name && done(exit));
        const timer = setTimeout(giveUp, forMs);
        signal?.addEventListener("abort", giveUp, { once: true });
        const known = readExit(instancePaths(folders, name));
        if (known !== undefined || signal?.aborted === true) done(known);
      });
    },
    tell,
    forget: (name) => void told.delete(name),
    stop: () => watcher.close(),
  };
}
