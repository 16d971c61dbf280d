import type { AppName, EnvironmentName, InstanceName } from "../names.ts";
import type { Asked } from "./asked.ts";

export interface VolumeSnapshotRequest extends Asked {
  readonly volume: string;
  /** Absent: named by the moment. */
  readonly snapshot?: string;
}

export interface VolumeRestoreRequest extends Asked {
  readonly volume: string;
  /** Absent: the newest. */
  readonly snapshot?: string;
  /** Name of the new volume; absent: the old one's and the moment. */
  readonly as?: string;
}

export interface VolumeRemoveRequest extends Asked {
  readonly volume: string;
  /** Absent: the volume with all its snapshots. */
  readonly snapshot?: string;
  readonly yes: boolean;
}

/** What was made or removed. */
export interface VolumeResult {
  readonly volume: string;
  readonly snapshot: string | null;
  readonly way: CopyWay;
  readonly path: string;
  /** It was written to meanwhile, and its files are not all of one moment. */
  readonly torn: boolean;
}

/**
 * How a volume is copied: a subvolume of btrfs and files that share their extents (xfs, btrfs) cost no time or room for
 * the bytes in them, a plain copy costs both.
 */
export type CopyWay = "subvolume" | "reflink" | "copy";

export interface SnapshotRow {
  readonly name: string;
  readonly createdAtMs: number;
  /** The release it was made before; null: a person asked for it. */
  readonly release: number | null;
}

/** A volume as `bronze volume list` shows it. */
export interface VolumeRow {
  readonly app: AppName;
  readonly environment: EnvironmentName;
  readonly name: string;
  /** Folder on the daemon's machine. */
  readonly path: string;
  readonly createdAtMs: number;
  readonly way: CopyWay;
  /** The volume and snapshot it was made from; null: it began empty. */
  readonly from: { readonly name: string; readonly snapshot: string } | null;
  /** On its disk, shared bytes counted too; null: not counted. */
  readonly bytes: number | null;
  /** Oldest first. */
  readonly snapshots: readonly SnapshotRow[];
  readonly attachedTo: readonly InstanceName[];
  /** Releases that name it: those that run, and those that a rollback can reach. */
  readonly releases: readonly string[];
}
