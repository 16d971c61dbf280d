import { OperatorError } from "../../errors/operator-error.ts";
import { formatVolume, mostSnapshots, parseSnapshotName, type VolumeId } from "../../model/volumes.ts";
import type { Clock } from "../../ports/clock.ts";
import type { StoredSnapshot, StoredVolume, VolumeStore } from "../../ports/volumes.ts";

/** A volume's files: text by path. */
export type MemoryFiles = Map<string, string>;

/** Volumes in memory, with their files at hand. */
export interface MemoryVolumes extends VolumeStore {
  /** What lies in a volume, or in a snapshot of it. */
  files(id: VolumeId, snapshot?: string): MemoryFiles | undefined;
  /** Takes a volume away, as a disk that is not mounted does. @returns what puts it back */
  lose(id: VolumeId): () => void;
  /** From now on there is no room for anything new; false: there is again. */
  fill(full: boolean): void;
}

interface Held {
  readonly volume: Omit<StoredVolume, "snapshots">;
  readonly files: MemoryFiles;
  readonly snapshots: Map<string, StoredSnapshot & { readonly files: MemoryFiles }>;
}

/** The port without a disk. */
export function createMemoryVolumes(clock: Pick<Clock, "wall">): MemoryVolumes {
  const held = new Map<string, Held>();
  let full = false;

  const shown = ({ volume, snapshots }: Held): StoredVolume => ({
    ...volume,
    snapshots: [...snapshots.values()].map(({ files: _, ...snapshot }) => snapshot),
  });
  function existing(id: VolumeId): Held {
    const found = held.get(formatVolume(id));
    if (found !== undefined) return found;
    throw new OperatorError("NOT_FOUND", `Cannot find volume ${formatVolume(id)}`, {
      hint: "see `bronze volume list`",
    });
  }
  function take(): void {
    if (full) throw new OperatorError("DISK_FULL", "Cannot make it: the disk is full", { hint: "make room" });
  }
  function add(id: VolumeId, from: StoredVolume["from"], files: MemoryFiles): StoredVolume {
    take();
    const path = `/volumes/${formatVolume(id)}`;
    const volume = { id, path, createdAtMs: clock.wall(), way: "reflink" as const, from };
    const made: Held = { volume, files, snapshots: new Map() };
    held.set(formatVolume(id), made);
    return shown(made);
  }

  return {
    files: (id, snapshot) => {
      const found = held.get(formatVolume(id));
      return snapshot === undefined ? found?.files : found?.snapshots.get(snapshot)?.files;
    },
    lose: (id) => {
      const found = existing(id);
      held.delete(formatVolume(id));
      return () => void held.set(formatVolume(id), found);
    },
    fill: (isFull) => void (full = isFull),
    list: async () => [...held].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => shown(one)),
    async ensure(id) {
      const found = held.get(formatVolume(id));
      return found === undefined ? add(id, null, new Map()) : shown(found);
    },
    async snapshot(id, text, release, { signal }) {
      signal.throwIfAborted();
      const name = parseSnapshotName(text);
      const { files, snapshots } = existing(id);
      const known = snapshots.get(name);
      if (known === undefined) {
        if (snapshots.size >= mostSnapshots)
          throw new OperatorError("ARGUMENT_INVALID", `Cannot make another snapshot of volume ${formatVolume(id)}`, {
            hint: "remove some first",
          });
        take();
        snapshots.set(name, { name, createdAtMs: clock.wall(), release, files: new Map(files) });
      }
      const { files: _, ...snapshot } = snapshots.get(name) ?? { name, createdAtMs: 0, release, files };
      return snapshot;
    },
    async restore(id, snapshot, as, { signal }) {
      signal.throwIfAborted();
      const found = existing(id).snapshots.get(snapshot);
      if (found === undefined)
        throw new OperatorError("NOT_FOUND", `Cannot find snapshot "${snapshot}" of volume ${formatVolume(id)}`, {
          hint: "see `bronze volume list`",
        });
      const target = { ...id, name: as };
      if (held.has(formatVolume(target)))
        throw new OperatorError("ARGUMENT_INVALID", `Cannot restore to volume ${formatVolume(target)}: there is one`, {
          hint: "name another",
        });
      return add(target, { name: id.name, snapshot }, new Map(found.files));
    },
    size: async (id) => {
      const texts = [...(held.get(formatVolume(id))?.files.values() ?? [])];
      return texts.reduce((sum, text) => sum + text.length, 0);
    },
    async remove(id, snapshot) {
      if (snapshot === null) held.delete(formatVolume(id));
      else held.get(formatVolume(id))?.snapshots.delete(snapshot);
    },
  };
}
