import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { VolumeBench } from "../../ports/volumes.suite.ts";
import { setFrozen } from "./copy.ts";
import { createVolumeStore } from "./volumes.ts";

export type Disk = "btrfs" | "xfs" | "ext4";

/** A small file system of its own, in a file. */
export interface LoopDisk {
  readonly path: string;
  end(): void;
}

const make: Readonly<Record<Disk, readonly string[]>> = {
  btrfs: ["mkfs.btrfs", "-q"],
  xfs: ["mkfs.xfs", "-q"],
  ext4: ["mkfs.ext4", "-q"],
};

/** Makes and mounts one. The least that mkfs takes is 114 MiB for btrfs and 300 MiB for xfs; the file is sparse. */
export function loopDisk(kind: Disk, mebibytes = 320): LoopDisk {
  const folder = mkdtempSync(join(tmpdir(), `bz-${kind}-`));
  const image = join(folder, "image");
  const path = join(folder, "disk");
  writeFileSync(image, "");
  truncateSync(image, mebibytes * 2 ** 20);
  const [program = "", ...args] = make[kind];
  execFileSync(program, [...args, image]);
  execFileSync("mkdir", [path]);
  execFileSync("mount", ["-o", "loop", image, path]);
  return {
    path,
    end() {
      execFileSync("umount", [path]);
      rmSync(folder, { recursive: true });
    },
  };
}

/** The port's suite on one disk for all of its tests, each in a folder of its own. */
export async function volumeBench(disk: LoopDisk): Promise<VolumeBench & { readonly folder: string }> {
  const folder = mkdtempSync(join(disk.path, "volumes-"));
  const open = () => createVolumeStore({ folder, wall: () => Date.now() });
  const place = ({ app, environment, name }: Parameters<VolumeBench["read"]>[0], snapshot?: string): string =>
    join(folder, app, environment, name, ...(snapshot === undefined ? [] : ["snapshots", snapshot]), "data");
  return {
    folder,
    store: open(),
    async write(id, path, text) {
      const file = join(place(id), path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    },
    read: (id, path, snapshot) => readFile(join(place(id, snapshot), path), "utf8").catch(() => undefined),
    reopen: open,
    async end() {
      for (const volume of await open().list()) await open().remove(volume.id, null);
      await setFrozen(folder, false);
      rmSync(folder, { recursive: true });
    },
  };
}

/** All names below a folder of volumes, for what must not be left. */
export function hiddenNames(folder: string): readonly string[] {
  return existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /(^|\/)\./.test(name))
    : [];
}

export const textOf = (path: string): string => readFileSync(path, "utf8");
