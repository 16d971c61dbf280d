import type { EnvironmentSettings, ResourceSettings, RunSettings, Volumes, WorkerSettings } from "./content.ts";
import { webProcess, type ProcessName } from "./names.ts";

/** Most instances a process may have in one environment on one machine. */
export const maxInstances = 256;

/** Most processes besides `web` that a content may have. */
export const mostWorkers = 32;

/** How one process of a content is run. */
export interface ProcessSettings {
  /** Replaces the image's entrypoint and command; null: the image's own. */
  readonly command: readonly string[] | null;
  readonly resources: ResourceSettings;
  /** Longest time it may take to end, in ms. */
  readonly drainMs: number;
  readonly volumes?: Volumes;
}

/** The processes besides `web` that a content has, sorted by name. */
export function workersOf(settings: RunSettings): readonly ProcessName[] {
  if (settings.processes === undefined) return noWorkers;
  return Object.keys(settings.processes).sort() as readonly string[] as readonly ProcessName[];
}

const noWorkers: readonly ProcessName[] = [];

/** How a process is run; for any name that is no worker's, as `web` is. */
export function processSettings(settings: RunSettings, process: ProcessName): ProcessSettings {
  const { processes } = settings;
  return processes !== undefined && Object.hasOwn(processes, process)
    ? (processes[process] as WorkerSettings)
    : settings;
}

/** Numbers of instances that a person asked for; of what is left out they stay. */
export interface Counts {
  readonly instances?: number;
  readonly processes?: { readonly [process: string]: number };
}

/** Settings with other numbers of instances. */
export function withCounts(settings: EnvironmentSettings, { instances, processes }: Counts): EnvironmentSettings {
  const all = { ...settings.processes, ...processes };
  return {
    ...settings,
    instances: instances ?? settings.instances,
    ...(Object.keys(all).length === 0 ? {} : { processes: all }),
  };
}

/** How many instances of a process an environment is to have: 1 of a worker where nothing was said. */
export function wantedInstances(settings: EnvironmentSettings, process: ProcessName): number {
  if (process === webProcess) return settings.instances;
  const { processes } = settings;
  return processes !== undefined && Object.hasOwn(processes, process) ? (processes[process] ?? 1) : 1;
}
