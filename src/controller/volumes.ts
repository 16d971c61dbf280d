import { OperatorError } from "../errors/operator-error.ts";
import type { EnvironmentRecord } from "../ledger/state.ts";
import type {
  VolumeRemoveRequest,
  VolumeRestoreRequest,
  VolumeResult,
  VolumeRow,
  VolumeSnapshotRequest,
} from "../model/api/volumes.ts";
import type { InstanceName } from "../model/names.ts";
import {
  allVolumesOf,
  formatVolume,
  isReleaseSnapshot,
  parseVolumeName,
  snapshotMoment,
  volumesOf,
  type VolumeId,
} from "../model/volumes.ts";
import type { StoredVolume } from "../ports/volumes.ts";
import { causeOf } from "./begin.ts";
import type { Controller } from "./controller.ts";
import { knownEnvironment } from "./known.ts";

/** Told in words how far work is. */
type Progress = (text: string) => void;

/** Volumes of all environments, or of one, with who has them and which releases name them. */
export async function volumeRows(
  controller: Controller,
  filter: { readonly app?: string | undefined; readonly environment?: string | undefined },
): Promise<readonly VolumeRow[]> {
  const { volumes } = controller.ports;
  const chosen = (await volumes.list()).filter(
    ({ id }) =>
      (filter.app === undefined || id.app === filter.app) &&
      (filter.environment === undefined || id.environment === filter.environment),
  );
  return Promise.all(
    chosen.map(async ({ id, path, createdAtMs, way, from, snapshots }) => ({
      ...id,
      path,
      createdAtMs,
      way,
      from,
      snapshots,
      bytes: await volumes.size(id).catch(() => null),
      attachedTo: holders(controller, id),
      releases: neededBy(controller, id).map(({ text }) => text),
    })),
  );
}

/** Makes a snapshot that stays until a person removes it. @throws {OperatorError} `NOT_FOUND`, `ARGUMENT_INVALID`, `DISK_FULL` */
export async function snapshotVolume(
  controller: Controller,
  request: VolumeSnapshotRequest,
  progress: Progress,
): Promise<VolumeResult> {
  const { clock, volumes } = controller.ports;
  const { app, environment } = knownEnvironment(controller, request.app, request.environment);
  const { volume } = request;
  const id: VolumeId = { app, environment, name: volume };
  const found = await stored(controller, id);
  const name = request.snapshot ?? snapshotMoment(clock.wall());
  if (isReleaseSnapshot(name))
    throw new OperatorError(
      "ARGUMENT_INVALID",
      `Cannot make snapshot "${name}" of volume ${formatVolume(id)}: such names are for those made before releases`,
      { hint: "leave the name out for one after the moment, or choose another" },
    );
  if (found.snapshots.some((one) => one.name === name))
    throw new OperatorError(
      "ARGUMENT_INVALID",
      `Cannot make snapshot "${name}" of volume ${formatVolume(id)}: it has one`,
      {
        hint: "leave the name out for one after the moment, or choose another: a snapshot is never replaced",
      },
    );
  const attachedTo = holders(controller, id);
  const named = { app, environment, volume, release: null };
  controller.recorder.append({ kind: "snapshot.starting", ...named, snapshot: name });
  await volumes.snapshot(id, name, null, { signal: controller.signal, progress });
  controller.recorder.append({ kind: "snapshot.made", ...named, snapshot: name, cause: causeOf(request) });
  return {
    volume,
    snapshot: name,
    way: found.way,
    path: found.path,
    torn: found.way !== "subvolume" && attachedTo.length > 0,
  };
}

/** Makes a new volume from a snapshot; nothing is written over. @throws {OperatorError} `NOT_FOUND`, `ARGUMENT_INVALID`, `DISK_FULL` */
export async function restoreVolume(
  controller: Controller,
  request: VolumeRestoreRequest,
  progress: Progress,
): Promise<VolumeResult> {
  const { clock, volumes } = controller.ports;
  const { app, environment } = knownEnvironment(controller, request.app, request.environment);
  const id: VolumeId = { app, environment, name: request.volume };
  const found = await stored(controller, id);
  const snapshot = request.snapshot ?? found.snapshots.at(-1)?.name;
  if (snapshot === undefined)
    throw new OperatorError("NOT_FOUND", `Cannot restore volume ${formatVolume(id)}: it has no snapshots`, {
      hint: "`bronze volume snapshot` makes one; `snapshot: true` in the definition has one made before each release",
    });
  const volume = parseVolumeName(request.as ?? restoredName(request.volume, clock.wall()));
  const made = await volumes.restore(id, snapshot, volume, { signal: controller.signal, progress });
  const from = { name: id.name, snapshot };
  controller.recorder.append({ kind: "volume.restored", app, environment, volume, from, cause: causeOf(request) });
  return { volume, snapshot, way: made.way, path: made.path, torn: false };
}

/** The volume's name and the moment; what is too long of the name is left out. */
function restoredName(name: string, atMs: number): string {
  return `${name.slice(0, 16).replace(/-+$/, "")}-${snapshotMoment(atMs)}`;
}

/**
 * Removes a snapshot, or a volume with all its snapshots, for good.
 *
 * @throws {OperatorError} `NOT_FOUND`; `VOLUME_ATTACHED` while an instance has it; `VOLUME_NEEDED` without `yes`, naming the releases
 *   that need it
 */
export async function removeVolume(controller: Controller, request: VolumeRemoveRequest): Promise<VolumeResult> {
  const { recorder, ports } = controller;
  const { app, environment, volume, snapshot = null } = request;
  const id: VolumeId = { app, environment, name: volume };
  const found = await stored(controller, id);
  if (snapshot !== null && !found.snapshots.some(({ name }) => name === snapshot))
    throw new OperatorError("NOT_FOUND", `Cannot find snapshot "${snapshot}" of volume ${formatVolume(id)}`, {
      hint: "see `bronze volume list`",
    });
  const what =
    snapshot === null ? `volume ${formatVolume(id)}` : `snapshot "${snapshot}" of volume ${formatVolume(id)}`;
  const needed = snapshot === null ? neededBy(controller, id) : [];
  if (snapshot === null) {
    const running = needed.filter(({ runs }) => runs).map(({ text }) => text);
    const attached = [...holders(controller, id), ...running];
    if (attached.length > 0)
      throw new OperatorError(
        "VOLUME_ATTACHED",
        `Cannot remove ${what}: ${attached.join(", ")} ${attached.length === 1 ? "has" : "have"} it`,
        {
          hint: "take the app down first, or release a definition without it",
        },
      );
  }
  if (!request.yes) {
    const count = found.snapshots.length;
    const also =
      snapshot !== null || count === 0 ? "" : ` and ${count === 1 ? "its snapshot" : `its ${count} snapshots`}`;
    const by = needed.map(({ text }) => text);
    throw new OperatorError(
      "VOLUME_NEEDED",
      `Cannot remove ${what}${also} without --yes: it is gone for good${by.length === 0 ? "" : `, and ${by.join(", ")} ${by.length === 1 ? "needs" : "need"} it for a rollback`}`,
      {
        hint: "say --yes; `bronze volume export` keeps it as a tar",
        ...(by.length === 0 ? {} : { details: { releases: by } }),
      },
    );
  }
  await ports.volumes.remove(id, snapshot);
  if (recordOf(controller, id) !== undefined)
    recorder.append({ kind: "volume.removed", app, environment, volume, snapshot, cause: causeOf(request) });
  return { volume, snapshot, way: found.way, path: found.path, torn: false };
}

function recordOf(controller: Controller, { app, environment }: VolumeId): EnvironmentRecord | undefined {
  return [...controller.state.environments.values()].find(
    (record) => record.app === app && record.environment === environment,
  );
}

async function stored(controller: Controller, id: VolumeId): Promise<StoredVolume> {
  const all = await controller.ports.volumes.list();
  const found = all.find((one) => formatVolume(one.id) === formatVolume(id));
  if (found !== undefined) return found;
  const there = all.filter((one) => one.id.app === id.app && one.id.environment === id.environment);
  throw new OperatorError("NOT_FOUND", `Cannot find volume ${formatVolume(id)}`, {
    hint:
      there.length === 0
        ? "it has no volumes yet: they are made when the first instance that has them starts"
        : `there are ${there.map((one) => one.id.name).join(", ")}`,
  });
}

/** Instances that have a volume now. */
function holders(controller: Controller, id: VolumeId): readonly InstanceName[] {
  const { fleet, state } = controller;
  return fleet.all().flatMap(({ name, set, process, phase }) => {
    if (phase !== "running") return [];
    const own = [...state.environments.values()].flatMap((record) => record.sets.get(set) ?? [])[0];
    const has = own !== undefined && names(volumesOf(own.content.settings, process, own)).has(formatVolume(id));
    return has ? [name] : [];
  });
}

interface Need {
  /** `v3`, or `v3 of thumbs`. */
  readonly text: string;
  /** It is live, or on its way. */
  readonly runs: boolean;
}

/** Releases whose content names a volume: those that run, and those that a rollback can reach. */
function neededBy(controller: Controller, id: VolumeId): readonly Need[] {
  return [...controller.state.environments.values()].flatMap((record) => {
    const runs = new Set([record.live?.release, record.active]);
    return [...new Set([...record.line, ...runs])].flatMap((number) => {
      const release = number === undefined || number === null ? undefined : record.releases.get(number);
      if (release === undefined || !names(allVolumesOf(release.content.settings, record)).has(formatVolume(id)))
        return [];
      const of = record.app === id.app ? "" : ` of ${record.app}`;
      return [{ text: `v${release.number}${of}`, runs: runs.has(release.number) }];
    });
  });
}

function names(volumes: readonly { readonly id: VolumeId }[]): ReadonlySet<string> {
  return new Set(volumes.map(({ id }) => formatVolume(id)));
}
