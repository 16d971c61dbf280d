import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { chmod, chown, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { makeSubvolume } from "../../linux/btrfs.ts";
import { orDiskError } from "../../linux/disk.ts";
import { syncFolder } from "../../linux/files.ts";
import { formatVolume, mostSnapshots, parseSnapshotName, type VolumeId } from "../../model/volumes.ts";
import type { CopyWay, StoredSnapshot, StoredVolume, VolumeStore, VolumeWork } from "../../ports/volumes.ts";
import { copyTree, removeTree, usedBytes, wayIn, wayOf } from "./copy.ts";
import {
  abandoned,
  dataFolder,
  named,
  snapshotFile,
  snapshotFolder,
  temporaryName,
  volumeFile,
  volumeIds,
} from "./layout.ts";

export interface VolumeStoreOptions {
  /** Folder of all volumes; made when the first one is. */
  readonly folder: string;
  /** Time of day, ms since the epoch. */
  readonly wall: () => number;
  /** How volumes are copied; default: what the file system can do. */
  readonly way?: CopyWay;
}

/** Longest time that is taken to count a volume's bytes, in ms. */
const countMs = 2_000;

interface VolumeFacts {
  readonly createdAtMs: number;
  readonly from: StoredVolume["from"];
}

/** Volumes as folders: subvolumes on btrfs, files with shared extents where there are such, else copied. */
export function createVolumeStore(options: VolumeStoreOptions): VolumeStore {
  const { folder, wall } = options;
  const turns = new Map<string, Promise<unknown>>();
  let found: CopyWay | undefined;

  const placeOf = (id: VolumeId): string => join(folder, id.app, id.environment, id.name);
  const snapshotsOf = (id: VolumeId): string => join(placeOf(id), snapshotFolder);
  const way = (): CopyWay => (found ??= options.way ?? wayIn(folder));

  /** One thing at a time in an environment: what two make of one name, or of what one removes, must not meet. */
  function inTurn<T>({ app, environment }: VolumeId, what: string, work: () => Promise<T>): Promise<T> {
    const key = `${app}/${environment}`;
    const before = turns.get(key) ?? Promise.resolve();
    const done = before
      .catch(() => {})
      .then(work)
      .catch((error: unknown) => {
        throw orDiskError(error, what, folder);
      });
    turns.set(key, done);
    const forget = (): void => void (turns.get(key) === done && turns.delete(key));
    done.then(forget, forget);
    return done;
  }

  /** Makes a folder that is there only when all of it is. */
  async function made(parent: string, name: string, fill: (place: string) => Promise<void>): Promise<void> {
    await mkdir(parent, { recursive: true, mode: 0o700 });
    for (const left of abandoned(parent)) await removeTree(left);
    const place = join(parent, temporaryName("making", unique()));
    try {
      await mkdir(place, { mode: 0o700 });
      await fill(place);
      await syncFolder(place);
      await rename(place, join(parent, name));
      await syncFolder(parent);
    } catch (error) {
      await removeTree(place).catch(() => {});
      throw error;
    }
  }

  async function gone(parent: string, name: string): Promise<void> {
    for (const left of abandoned(parent)) await removeTree(left);
    if (!existsSync(join(parent, name))) return;
    const place = join(parent, temporaryName("removing", unique()));
    await rename(join(parent, name), place);
    await syncFolder(parent);
    await removeTree(place);
  }

  async function read(id: VolumeId): Promise<StoredVolume | undefined> {
    const facts = await readFacts<VolumeFacts>(join(placeOf(id), volumeFile));
    if (facts === undefined || !existsSync(join(placeOf(id), dataFolder))) return undefined;
    const snapshots: StoredSnapshot[] = [];
    for (const name of named(snapshotsOf(id), parseSnapshotName)) {
      const known = await readFacts<Omit<StoredSnapshot, "name">>(join(snapshotsOf(id), name, snapshotFile));
      if (known !== undefined) snapshots.push({ name, createdAtMs: known.createdAtMs, release: known.release });
    }
    snapshots.sort((a, b) => a.createdAtMs - b.createdAtMs || (a.name < b.name ? -1 : 1));
    const path = join(placeOf(id), dataFolder);
    return { id, path, ...facts, way: wayOf(path, way()), snapshots };
  }

  async function existing(id: VolumeId): Promise<StoredVolume> {
    const volume = await read(id);
    if (volume !== undefined) return volume;
    const there = volumeIds(folder)
      .filter(({ app, environment }) => app === id.app && environment === id.environment)
      .map(({ name }) => name);
    throw new OperatorError("NOT_FOUND", `Cannot find volume ${formatVolume(id)}`, {
      hint:
        there.length === 0
          ? `${id.app} in ${id.environment} has no volumes yet: they are made when the first instance starts`
          : `there are ${there.join(", ")}: see \`bronze volume list\``,
    });
  }

  async function snapshotNow(id: VolumeId, name: string, release: number | null, work: VolumeWork) {
    const volume = await existing(id);
    const known = volume.snapshots.find((one) => one.name === name);
    if (known !== undefined) return known;
    if (volume.snapshots.length >= mostSnapshots)
      throw new OperatorError(
        "ARGUMENT_INVALID",
        `Cannot make another snapshot of volume ${formatVolume(id)}: it has ${volume.snapshots.length}`,
        { hint: "remove some first: `bronze volume remove NAME --snapshot SNAPSHOT --yes`" },
      );
    const snapshot: StoredSnapshot = { name, createdAtMs: wall(), release };
    await made(snapshotsOf(id), name, async (place) => {
      await copyTree(volume.path, join(place, dataFolder), volume.way, true, work);
      await writeFacts(join(place, snapshotFile), { createdAtMs: snapshot.createdAtMs, release });
    });
    return snapshot;
  }

  return {
    async list() {
      const volumes: StoredVolume[] = [];
      for (const id of volumeIds(folder)) {
        const volume = await read(id);
        if (volume !== undefined) volumes.push(volume);
      }
      return volumes;
    },
    ensure: (id, owner) =>
      inTurn(id, `make volume ${formatVolume(id)}`, async () => {
        const known = await read(id);
        if (known !== undefined) {
          if (readdirSync(known.path).length === 0) await give(known.path);
          return known;
        }
        if (existsSync(placeOf(id)))
          throw new OperatorError("VOLUME_LOST", `Cannot use volume ${formatVolume(id)}: ${placeOf(id)} is not whole`, {
            hint: `it lacks ${volumeFile} or ${dataFolder}: put back what is missing, or move the folder away to begin with an empty volume`,
          });
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await made(join(folder, id.app, id.environment), id.name, async (place) => {
          const data = join(place, dataFolder);
          if (way() === "subvolume") await makeSubvolume(data);
          else await mkdir(data);
          await give(data);
          await mkdir(join(place, snapshotFolder), { mode: 0o700 });
          await writeFacts(join(place, volumeFile), { createdAtMs: wall(), from: null } satisfies VolumeFacts);
        });
        return existing(id);

        async function give(path: string): Promise<void> {
          await chown(path, owner.uid, owner.gid);
          await chmod(path, owner.mode);
        }
      }),
    snapshot: (id, name, release, work) =>
      inTurn(id, `make a snapshot of volume ${formatVolume(id)}`, () =>
        snapshotNow(id, parseSnapshotName(name), release, work),
      ),
    restore: (id, snapshot, as, work) =>
      inTurn(id, `restore volume ${formatVolume(id)}`, async () => {
        const volume = await existing(id);
        if (!volume.snapshots.some(({ name }) => name === snapshot))
          throw new OperatorError("NOT_FOUND", `Cannot find snapshot "${snapshot}" of volume ${formatVolume(id)}`, {
            hint:
              volume.snapshots.length === 0
                ? "it has none yet: `bronze volume snapshot` makes one"
                : `it has ${volume.snapshots.map(({ name }) => name).join(", ")}`,
          });
        const target: VolumeId = { ...id, name: as };
        if (existsSync(placeOf(target)))
          throw new OperatorError(
            "ARGUMENT_INVALID",
            `Cannot restore to volume ${formatVolume(target)}: there is one of that name, and none is written over`,
            { hint: "name another with --as" },
          );
        const source = join(snapshotsOf(id), snapshot, dataFolder);
        await made(join(folder, id.app, id.environment), as, async (place) => {
          await copyTree(source, join(place, dataFolder), wayOf(source, way()), false, work);
          await mkdir(join(place, snapshotFolder), { mode: 0o700 });
          const facts: VolumeFacts = { createdAtMs: wall(), from: { name: id.name, snapshot } };
          await writeFacts(join(place, volumeFile), facts);
        });
        return existing(target);
      }),
    size: async (id) => {
      const volume = await read(id);
      return volume === undefined ? null : usedBytes(volume.path, undefined, countMs).catch(() => null);
    },
    remove: (id, snapshot) =>
      inTurn(id, `remove volume ${formatVolume(id)}`, () =>
        snapshot === null ? gone(join(folder, id.app, id.environment), id.name) : gone(snapshotsOf(id), snapshot),
      ),
  };
}

const unique = (): string => randomBytes(4).toString("hex");

async function writeFacts(path: string, facts: object): Promise<void> {
  await writeFile(path, `${JSON.stringify(facts)}\n`, { mode: 0o600, flush: true });
}

async function readFacts<Facts>(path: string): Promise<Facts | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Facts;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
