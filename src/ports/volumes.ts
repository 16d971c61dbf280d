import type { CopyWay, SnapshotRow } from "../model/api/volumes.ts";
import type { VolumeId } from "../model/volumes.ts";

export type { CopyWay, VolumeId };

/** A volume as it was at a moment; nothing changes it. */
export type StoredSnapshot = SnapshotRow;

export interface StoredVolume {
  readonly id: VolumeId;
  /** Folder on this machine that instances have. */
  readonly path: string;
  readonly createdAtMs: number;
  readonly way: CopyWay;
  /** The volume and snapshot it was made from; null: it began empty. */
  readonly from: { readonly name: string; readonly snapshot: string } | null;
  /** Oldest first. */
  readonly snapshots: readonly StoredSnapshot[];
}

/** Whose the top of a new volume is. */
export interface VolumeOwner {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
}

/** How long work is followed and ended. */
export interface VolumeWork {
  readonly signal: AbortSignal;
  /** Told in words how far it is. */
  readonly progress?: (text: string) => void;
}

/**
 * Keeps what instances write, beyond their end. What a killed caller left half-made is never taken for whole, and goes
 * with the next call about the same volume.
 */
export interface VolumeStore {
  /** All there are, sorted by app, environment and name. */
  list(): Promise<readonly StoredVolume[]>;

  /**
   * Makes a volume, empty, unless it is there already. An empty one is given to `owner`, one with something in it stays
   * its owner's.
   *
   * @throws {OperatorError} `DISK_FULL`
   */
  ensure(id: VolumeId, owner: VolumeOwner): Promise<StoredVolume>;

  /**
   * Makes an immutable snapshot; the one of that name when there is one already.
   *
   * @throws {OperatorError} `NOT_FOUND` without the volume, `DISK_FULL`, `ARGUMENT_INVALID` with too many snapshots
   */
  snapshot(id: VolumeId, name: string, release: number | null, work: VolumeWork): Promise<StoredSnapshot>;

  /**
   * Makes a new volume of the same app and environment from a snapshot.
   *
   * @throws {OperatorError} `NOT_FOUND`, `DISK_FULL`, `ARGUMENT_INVALID` when there is a volume of that name
   */
  restore(id: VolumeId, snapshot: string, as: string, work: VolumeWork): Promise<StoredVolume>;

  /** Bytes that a volume takes on its disk, shared ones counted too; null: it takes too long to count them. */
  size(id: VolumeId): Promise<number | null>;

  /** Removes a snapshot, or without one the volume with all its snapshots. What is not there is fine. */
  remove(id: VolumeId, snapshot: string | null): Promise<void>;
}
