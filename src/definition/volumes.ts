import type { EnvironmentSettings, RunSettings, VolumeMount, Volumes } from "../model/content.ts";
import type { AppName, EnvironmentName, ProcessName } from "../model/names.ts";
import { parseAppName, webProcess } from "../model/names.ts";
import { wantedInstances } from "../model/processes.ts";
import { allVolumesOf, clashes, isTakenPath, mostVolumes, mountsOf, parseVolumeName } from "../model/volumes.ts";
import { optional, readAbsolute } from "./build.ts";
import { keySets } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";

/**
 * Reads `volumes` of a process: `{ data: /var/lib/shop }`, or with `{ path, shared, snapshot, app }` for each.
 *
 * @param tmpfs other places of that process that can be written to
 */
export function readVolumes(reader: Reader, place: Place, tmpfs: readonly string[]): Volumes | undefined {
  const volumes: [string, VolumeMount][] = [];
  const paths: string[] = ["/tmp", ...tmpfs];
  const entries = Array.from(reader.map(place, null));
  if (entries.length > mostVolumes)
    reader.problem(place, `has ${entries.length} volumes, at most ${mostVolumes} taken`);
  for (const [text, field] of entries.slice(0, mostVolumes)) {
    try {
      parseVolumeName(text);
    } catch {
      reader.problem(
        field,
        "a volume's name is 1 to 32 lower-case letters, digits and hyphens, not a hyphen at an end",
      );
    }
    const mount = readMount(reader, field);
    if (mount === undefined) continue;
    const over = paths.find((path) => isWithin(path, mount.path) || isWithin(mount.path, path));
    if (over !== undefined) reader.problem(field, `${mount.path} and ${over} lie over each other`);
    paths.push(mount.path);
    volumes.push([text, mount]);
  }
  return volumes.length === 0 ? undefined : Object.fromEntries(volumes);
}

function readMount(reader: Reader, place: Place): VolumeMount | undefined {
  if (!reader.isMap(place)) {
    const path = readPath(reader, place);
    return path === undefined ? undefined : { path, sharing: "exclusive", snapshot: false };
  }
  const fields = reader.map(place, keySets.volume);
  const pathField = fields.get("path");
  const path =
    pathField === undefined
      ? reader.problem(place, "path: is missing; it says where instances have the volume")
      : readPath(reader, pathField);
  const shared = optional(fields, "shared", (field) => reader.boolean(field)) ?? false;
  const snapshot = optional(fields, "snapshot", (field) => reader.boolean(field)) ?? false;
  const app = optional(fields, "app", (field) => reader.parsed(field, parseAppName));
  if (app !== undefined && !shared)
    reader.problem(place, `a volume of another app must be shared: true here, and in the definition of ${app} too`);
  if (app !== undefined && snapshot)
    reader.problem(place, `snapshot: belongs to the definition of ${app}, whose volume it is`);
  if (path === undefined) return undefined;
  return { path, sharing: shared ? "shared" : "exclusive", snapshot, ...(app === undefined ? {} : { app }) };
}

function readPath(reader: Reader, place: Place): string | undefined {
  const path = readAbsolute(reader, place);
  if (path === undefined) return undefined;
  if (isTakenPath(path)) return reader.problem(place, `${path} cannot be a volume: it is not the app's to write to`);
  return path;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** What a look over a whole definition needs of it. */
export interface VolumeUse {
  readonly app: AppName;
  readonly run: Pick<RunSettings, "volumes" | "processes">;
  readonly environments: readonly { readonly name: string; readonly settings: EnvironmentSettings }[];
}

/** Problems that no volume has by itself: one that several want, of which only one can have it. */
export function checkVolumes(reader: Reader, root: Place, { app, run, environments }: VolumeUse): void {
  const settings = run as RunSettings;
  const processes = [webProcess, ...(Object.keys(run.processes ?? {}) as ProcessName[])];
  const isRun = reader.find(root, ["run"]) !== root;
  const placeOf = (process: ProcessName, name: string): Place =>
    reader.find(
      root,
      process === webProcess && isRun ? ["run", "volumes", name] : ["processes", process, "volumes", name],
    );
  const first = new Map<string, { readonly process: ProcessName; readonly mount: VolumeMount }>();
  for (const process of processes) {
    for (const [name, mount] of Object.entries(mountsOf(settings, process))) {
      if (mount.app === app)
        reader.problem(placeOf(process, name), `app: is for volumes of other apps; this one is of ${app} anyway`);
      const key = `${mount.app ?? app}/${name}`;
      const other = first.get(key);
      if (other === undefined) first.set(key, { process, mount });
      else if (mount.sharing === "exclusive" || other.mount.sharing === "exclusive") {
        reader.problem(
          placeOf(process, name),
          `volume "${name}" is exclusive and process ${other.process} has it; only one can: write shared: true for both where they can share it`,
        );
      }
      if (mount.sharing === "shared") continue;
      for (const environment of environments) {
        const count = wantedInstances(environment.settings, process);
        if (count <= 1) continue;
        const path =
          process === webProcess
            ? ["environments", environment.name, "instances"]
            : ["environments", environment.name, "processes", process];
        reader.problem(
          reader.find(root, path),
          `${count} instances of ${process} want volume "${name}", which is exclusive: make it 1 instance, or write shared: true for the volume where they can share it`,
        );
      }
    }
  }
}

/** A volume that two apps of a definition have, of which either wants it for itself alone. */
export function checkVolumesOfApps(
  reader: Reader,
  apps: readonly Omit<VolumeUse, "environments">[],
  places: ReadonlyMap<string, Place>,
): void {
  const environment = "any" as EnvironmentName;
  const all = apps.map(({ app, run }) => ({ app, volumes: allVolumesOf(run as RunSettings, { app, environment }) }));
  all.forEach((own, index) => {
    const place = places.get(own.app);
    for (const other of all.slice(0, index)) {
      for (const { name } of clashes(own.volumes, other.volumes)) {
        if (place === undefined) continue;
        reader.problem(
          reader.find(place, ["run", "volumes", name]),
          `app ${other.app} has volume "${name}" too, and it is exclusive; only one app can have it: write shared: true for both where they can share it`,
        );
      }
    }
  });
}
