import { OperatorError } from "../errors/operator-error.ts";
import type { EnvironmentSettings, RunSettings, VolumeMount, Volumes } from "./content.ts";
import { wantedInstances, workersOf } from "./processes.ts";
import { webProcess, type AppName, type EnvironmentName, type ProcessName } from "./names.ts";

/** One volume among all of a machine: of an app, in an environment, by its name. */
export interface VolumeId {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly name: string;
}

/** A volume as one process of a content has it. */
export interface AttachedVolume {
  readonly id: VolumeId;
  readonly mount: VolumeMount;
}

/** Most volumes of one process. */
export const mostVolumes = 16;
/** Most snapshots of one volume; those that releases made give way to newer ones well before. */
export const mostSnapshots = 40;
/** Snapshots made before releases that are kept of each volume, the newest. */
export const keptReleaseSnapshots = 10;

const namePattern = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
const snapshotPattern = /^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$/;

/** @throws {OperatorError} `ARGUMENT_INVALID` when it is not 1 to 32 lower-case letters, digits and hyphens */
export function parseVolumeName(text: string): string {
  if (namePattern.test(text)) return text;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a volume's name`, {
    hint: "use 1 to 32 lower-case letters, digits and hyphens, with a letter or digit at both ends",
  });
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when it is not 1 to 48 lower-case letters, digits and hyphens */
export function parseSnapshotName(text: string): string {
  if (snapshotPattern.test(text)) return text;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a snapshot's name`, {
    hint: "use 1 to 48 lower-case letters, digits and hyphens, with a letter or digit at both ends",
  });
}

/** `shop/production/data`: names a volume in messages and keys. */
export function formatVolume({ app, environment, name }: VolumeId): string {
  return `${app}/${environment}/${name}`;
}

/** `before-v12`: the snapshot that is made before a release. */
export function releaseSnapshot(release: number): string {
  return `before-v${release}`;
}

/** Whether a snapshot's name is kept for those that are made before releases. */
export function isReleaseSnapshot(name: string): boolean {
  return /^before-v[0-9]+$/.test(name);
}

/** `20261121-110650`: the moment a snapshot without a name of its own is called by, UTC. */
export function snapshotMoment(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}

/** Volumes that a process of these settings asks for, by name. */
export function mountsOf(settings: RunSettings, process: ProcessName): Volumes {
  const own = process === webProcess ? settings.volumes : settings.processes?.[process]?.volumes;
  return own ?? noVolumes;
}

const noVolumes: Volumes = {};
const noneAttached: readonly AttachedVolume[] = [];

/** Volumes that instances of a process have, sorted by name. */
export function volumesOf(
  settings: RunSettings,
  process: ProcessName,
  where: Pick<VolumeId, "app" | "environment">,
): readonly AttachedVolume[] {
  const mounts = mountsOf(settings, process);
  if (mounts === noVolumes) return noneAttached;
  return Object.entries(mounts)
    .map(([name, mount]) => ({
      id: { app: mount.app ?? where.app, environment: where.environment, name },
      mount,
    }))
    .sort((a, b) => (formatVolume(a.id) < formatVolume(b.id) ? -1 : 1));
}

/** Volumes of all processes of these settings; one that several have is listed for each. */
export function allVolumesOf(
  settings: RunSettings,
  where: Pick<VolumeId, "app" | "environment">,
): readonly (AttachedVolume & { readonly process: ProcessName })[] {
  if (!hasVolumes(settings)) return [];
  return [webProcess, ...(Object.keys(settings.processes ?? {}) as ProcessName[])].flatMap((process) =>
    volumesOf(settings, process, where).map((volume) => ({ ...volume, process })),
  );
}

/** The volumes of which not both may be attached: the same one, and at least one side wants it alone. */
export function clashes(some: readonly AttachedVolume[], others: readonly AttachedVolume[]): readonly VolumeId[] {
  if (some.length === 0 || others.length === 0) return [];
  return some
    .filter(({ id, mount }) =>
      others.some(
        (other) =>
          formatVolume(other.id) === formatVolume(id) &&
          (mount.sharing === "exclusive" || other.mount.sharing === "exclusive"),
      ),
    )
    .map(({ id }) => id);
}

/** Whether any process has a volume. */
export function hasVolumes(settings: RunSettings): boolean {
  if (settings.processes === undefined) return settings.volumes !== undefined;
  return settings.volumes !== undefined || Object.values(settings.processes ?? {}).some(({ volumes }) => volumes);
}

/** Whether anything of these settings wants a volume for itself alone. */
export function hasExclusive(settings: RunSettings): boolean {
  if (!hasVolumes(settings)) return false;
  const mounts = [settings.volumes, ...Object.values(settings.processes ?? {}).map(({ volumes }) => volumes)];
  return mounts.some((volumes) => Object.values(volumes ?? {}).some(({ sharing }) => sharing === "exclusive"));
}

/**
 * Settings with no more instances than volumes allow that only one may have: numbers stay as they are at a rollback, and
 * what comes back may have such where what is live has none. The same object where they fit.
 */
export function settingsThatFit(settings: EnvironmentSettings, run: RunSettings): EnvironmentSettings {
  const isTooMany = (process: ProcessName): boolean =>
    wantedInstances(settings, process) > 1 &&
    Object.values(mountsOf(run, process)).some(({ sharing }) => sharing === "exclusive");
  const workers = workersOf(run).filter(isTooMany);
  const isWeb = isTooMany(webProcess);
  if (!isWeb && workers.length === 0) return settings;
  const processes = { ...settings.processes, ...Object.fromEntries(workers.map((process) => [process, 1])) };
  return { ...settings, ...(isWeb && { instances: 1 }), ...(workers.length > 0 && { processes }) };
}

/** Volumes that one instance has: those of its process; a task has the shared ones of the process it is like. */
export function volumesOfInstance(
  settings: RunSettings,
  process: ProcessName,
  where: Pick<VolumeId, "app" | "environment">,
  task?: { readonly like: ProcessName; readonly sees: "content" | "artifact" },
): readonly AttachedVolume[] {
  if (task === undefined) return volumesOf(settings, process, where);
  if (task.sees === "artifact") return [];
  return volumesOf(settings, task.like, where).filter(({ mount }) => mount.sharing === "shared");
}

/** Folders that are the kernel's, Bronze's or the image's own to decide on: no volume goes over or into them. */
export function isTakenPath(path: string): boolean {
  return path === "/" || path === "/run" || /^\/(proc|sys|dev|etc|run\/secrets)(\/|$)/.test(path);
}
