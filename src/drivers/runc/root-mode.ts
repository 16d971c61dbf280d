import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { diskTrouble } from "../../errors/disk.ts";
import { diskError } from "../../errors/operator-error.ts";
import { freeBytes, whyNotWritable } from "../../linux/disk.ts";
import { makeErofs } from "./erofs.ts";
import { readText, replaceFile } from "../../linux/files.ts";
import { mountFlags, type Syscalls } from "../../linux/syscalls.ts";

/** How instances' roots are held: `erofs` image files mounted by the kernel, or `unpacked` folders. */
export interface RootMode {
  readonly kind: "erofs" | "unpacked";
  /** Options of an image's mount: direct I/O keeps the file itself out of the page cache. */
  readonly mountOptions: string;
  /** Why images cannot be used, in words. */
  readonly reason?: string;
}

/** Tries, with an empty image, what this kernel and machine can do. @param scratch a folder of ours */
export async function probeRootMode(scratch: string, syscalls: Syscalls): Promise<RootMode> {
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const folder = join(scratch, `${probePrefix}${process.pid}`);
  const target = join(folder, "mounted");
  const image = join(folder, "image");
  try {
    await mkdir(folder);
    await mkdir(join(folder, "tree"));
    await mkdir(target);
    await makeErofs(join(folder, "tree"), image);
    let reason = "";
    for (const mountOptions of ["directio", ""]) {
      try {
        syscalls.mount(image, target, "erofs", mountFlags.readOnly, mountOptions);
        syscalls.unmount(target);
        return await remember(scratch, { kind: "erofs", mountOptions });
      } catch (error) {
        reason = (error as Error).message;
      }
    }
    return { kind: "unpacked", mountOptions: "", reason: `the kernel does not mount EROFS image files (${reason})` };
  } catch (error) {
    // Want of room says nothing about the kernel: what was found before stands.
    const trouble = diskTrouble(error) ?? whyNotWritable(scratch);
    if (trouble !== undefined) {
      const before = remembered(scratch);
      if (before !== undefined) return before;
      throw diskError(trouble, `try in "${scratch}" whether the kernel mounts images`, freeBytes(scratch), error);
    }
    return {
      kind: "unpacked",
      mountOptions: "",
      reason: `mkfs.erofs does not work here (${(error as Error).message})`,
    };
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

export const probePrefix = ".probe-";
const rememberedName = "root-mode.json";

/** Kept for a start without room. @returns the same mode */
async function remember(scratch: string, mode: RootMode): Promise<RootMode> {
  const text = JSON.stringify(mode);
  if (readText(join(scratch, rememberedName)) !== text)
    await replaceFile(join(scratch, rememberedName), text).catch(() => {});
  return mode;
}

function remembered(scratch: string): RootMode | undefined {
  try {
    return JSON.parse(readText(join(scratch, rememberedName)) ?? "") as RootMode;
  } catch {
    return undefined;
  }
}
