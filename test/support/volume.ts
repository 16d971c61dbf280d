import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A small file system of its own, so that its being full or broken is nobody else's trouble. */
export interface Volume {
  readonly path: string;
  /** Takes all room but this much, by a file. */
  fill(leaveBytes?: number): void;
  /** Gives the room back. */
  empty(): void;
  /** What an ordinary error of the disk does: the kernel makes the file system read-only. ext4 only. */
  breakDisk(): void;
  /** Checks the file system and mounts it anew, as a person does then; nothing may run from it any more. */
  mend(): Promise<void>;
  remove(): void;
}

/** The least that mkfs takes is 114 MiB for btrfs and 300 MiB for xfs. */
export type VolumeKind = "ext4" | "btrfs" | "xfs" | "tmpfs";

const make: Readonly<Record<Exclude<VolumeKind, "tmpfs">, readonly string[]>> = {
  ext4: ["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
  btrfs: ["mkfs.btrfs", "-q"],
  xfs: ["mkfs.xfs", "-q"],
};

const blockBytes = 4096;

/** @param image where a volume that is no tmpfs keeps its bytes */
export function createVolume(path: string, kind: VolumeKind, mebibytes: number, image: string): Volume {
  mkdirSync(path, { recursive: true });
  if (kind === "tmpfs") {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m,mode=711`, "tmpfs", path]);
  } else {
    writeFileSync(image, "");
    truncateSync(image, mebibytes * 2 ** 20);
    const [program = "", ...args] = make[kind];
    execFileSync(program, [...args, image]);
    execFileSync("mount", ["-o", `loop${kind === "ext4" ? ",errors=remount-ro" : ""}`, image, path]);
  }
  const filler = join(path, "filler");
  return {
    path,
    fill(leaveBytes = 0) {
      const fd = openSync(filler, "a");
      try {
        for (let size = 2 ** 20; size >= blockBytes;) {
          if (!extended(fd, size)) size /= 2;
        }
        ftruncateSync(fd, Math.max(0, fstatSync(fd).size - leaveBytes));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    },
    empty: () => rmSync(filler, { force: true }),
    breakDisk() {
      const device = basename(execFileSync("findmnt", ["-no", "SOURCE", path], { encoding: "utf8" }).trim());
      try {
        writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "a test asks for it");
      } catch {
        // It answers with the error that it brought about.
      }
      assert.throws(() => writeFileSync(join(path, "broken"), ""), { code: "EROFS" });
    },
    async mend() {
      // What was killed holds it until the kernel is done with its end.
      await until(() => spawnSync("umount", ["--recursive", path], { encoding: "utf8" }).stderr);
      // Another mount namespace may hold it for a moment more: one that is being made begins as a copy of this one.
      await until(() => execFileSync("losetup", ["-j", image], { encoding: "utf8" }));
      // 1: errors were found and corrected.
      const { status, stdout } = spawnSync("e2fsck", ["-fy", image], { encoding: "utf8" });
      if (status !== 0 && status !== 1) throw new Error(`e2fsck ended with ${status}: ${stdout}`);
      execFileSync("mount", ["-o", "loop,errors=remount-ro", image, path]);
    },
    remove() {
      execFileSync("umount", ["--lazy", "--recursive", path]);
      if (existsSync(image)) rmSync(image);
    },
  };
}

const bytes = Buffer.alloc(2 ** 20, 0x66);

/** Writes at the end. @returns false when there was no room for all of it; then none of it stays */
function extended(fd: number, size: number): boolean {
  let written = 0;
  try {
    while (written < size) written += writeSync(fd, bytes, 0, size - written);
    fsyncSync(fd);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    ftruncateSync(fd, fstatSync(fd).size - written);
    return false;
  }
}

/** Tries until nothing is in the way any more. @param look what is in the way, in words */
async function until(look: () => string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const problem = look();
    if (problem === "") return;
    if (tries === 600) throw new Error(problem);
    await sleep(100);
  }
}
