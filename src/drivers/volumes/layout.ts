import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { isAlive, identify } from "../../linux/processes.ts";
import { parseAppName, parseEnvironmentName } from "../../model/names.ts";
import type { Places } from "../../model/places.ts";
import { parseVolumeName, type VolumeId } from "../../model/volumes.ts";

/**
 * Where volumes are: `APP/ENVIRONMENT/NAME/data` is what instances have, `…/NAME/snapshots/SNAPSHOT/data` what it once
 * was. What is being made or removed has another name, which tells by whom.
 */
export const dataFolder = "data";
export const snapshotFolder = "snapshots";
export const volumeFile = "volume.json";
export const snapshotFile = "snapshot.json";

export function volumeFolder({ state }: Pick<Places, "state">): string {
  return join(state, "volumes");
}

const temporaryPattern = /^\.(making|removing)-(\d+)-(\d+)-[0-9a-f]+$/;

/** A name for what this process makes or removes; it is a leftover once this process is gone. */
export function temporaryName(kind: "making" | "removing", unique: string): string {
  return `.${kind}-${process.pid}-${identify(process.pid)?.start ?? "0"}-${unique}`;
}

/** What killed processes left in a folder, half-made or half-removed. */
export function abandoned(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const match = temporaryPattern.exec(name);
    if (match === null || isAlive({ pid: Number(match[2]), start: match[3] ?? "" })) return [];
    return join(folder, name);
  });
}

/** Names in a folder that a parser takes. */
export function named<Name>(folder: string, parse: (text: string) => Name): readonly Name[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      try {
        return [parse(name)];
      } catch {
        return [];
      }
    });
}

/** Every volume below a folder, sorted. */
export function volumeIds(root: string): readonly VolumeId[] {
  return named(root, parseAppName).flatMap((app) =>
    named(join(root, app), parseEnvironmentName).flatMap((environment) =>
      named(join(root, app, environment), parseVolumeName).map((name) => ({ app, environment, name })),
    ),
  );
}

/** All that killed processes left of volumes below a folder. */
export function allAbandoned(root: string): readonly string[] {
  const environments = named(root, parseAppName).flatMap((app) =>
    named(join(root, app), parseEnvironmentName).map((environment) => join(root, app, environment)),
  );
  const volumes = volumeIds(root).map(({ app, environment, name }) => join(root, app, environment, name));
  return [...environments, ...volumes.map((folder) => join(folder, snapshotFolder))].flatMap(abandoned);
}
