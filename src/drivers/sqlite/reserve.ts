import { closeSync, fsyncSync, ftruncateSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { NewEvent } from "../../ledger/event.ts";
import { freeBytes } from "../../linux/disk.ts";

/** Room that is given up when the disk is full, so that what must be recorded still can be. */
const sizeBytes = 1024 * 1024;
/** Given up in pieces, since whatever filled the disk takes what is free at once. */
const pieceBytes = 64 * 1024;
/** Free space from which on the reserve is made whole again. */
const plentyBytes = 4 * sizeBytes;

export interface Reserve {
  /** Frees the next piece. @returns false when no more may be given for this */
  give(downToBytes: number): boolean;
  /** Makes it whole again where there is room. @returns whether it is whole */
  keep(): boolean;
}

export function createReserve(stateDir: string): Reserve {
  const path = join(stateDir, "reserve");
  const size = (): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return {
    give(downToBytes) {
      const left = size();
      if (left <= downToBytes) return false;
      const fd = openSync(path, "r+");
      try {
        ftruncateSync(fd, Math.max(downToBytes, left - pieceBytes));
        // Some file systems free blocks only when the change is on disk.
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      return true;
    },
    keep() {
      if (size() === sizeBytes) return true;
      if ((freeBytes(stateDir) ?? 0) < plentyBytes) return false;
      try {
        const fd = openSync(path, "w", 0o600);
        try {
          writeSync(fd, Buffer.alloc(sizeBytes, 0x2e));
          fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
      } catch {
        // The room went meanwhile: what was taken of it is given back, the next look tries again.
        rmSync(path, { force: true });
      }
      return size() === sizeBytes;
    },
  };
}

/**
 * Down to how many bytes these events may use the reserve; undefined: not at all. What ends something, a rollback and what
 * makes a switch known may use all of it; what keeps live instances going half; what begins something new none of it.
 */
export function reserveFloor(events: readonly NewEvent[]): number | undefined {
  // What a switch that is in effect brings along ends with it.
  if (events.some(({ data }) => data.kind === "traffic.switched")) return 0;
  let floor = 0;
  for (const { data } of events) {
    switch (data.kind) {
      case "daemon.started":
      case "daemon.stopped":
      case "ledger.salvaged":
      case "rollout.aborted":
      case "release.taken_back":
      case "content.quarantined":
      case "set.retired":
      case "app.down":
      case "traffic.switching":
      case "task.ended":
      case "check.answered":
      case "watch.held":
      // These come with what is appended next, whatever that is.
      case "clock.jumped":
      case "decision.made":
      case "trust.verified":
      case "trust.warned":
        break;
      case "release.created":
        if (data.type !== "rollback") return undefined;
        break;
      case "instances.starting":
      case "instance.healthy":
      case "instance.exited":
      case "instance.condemned":
      case "instance.removed":
      case "drift.found":
      case "set.removed":
      case "task.running":
        floor = sizeBytes / 2;
        break;
      default:
        return undefined;
    }
  }
  return floor;
}
