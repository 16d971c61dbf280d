import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeErofs } from "./erofs.ts";
import { mountFlags, type Syscalls } from "./syscalls.ts";

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
  const folder = await mkdtemp(join(scratch, ".probe-"));
  const target = join(folder, "mounted");
  const image = join(folder, "image");
  try {
    await mkdir(join(folder, "tree"));
    await mkdir(target);
    await makeErofs(join(folder, "tree"), image);
    let reason = "";
    for (const mountOptions of ["directio", ""]) {
      try {
        syscalls.mount(image, target, "erofs", mountFlags.readOnly, mountOptions);
        syscalls.unmount(target);
        return { kind: "erofs", mountOptions };
      } catch (error) {
        reason = (error as Error).message;
      }
    }
    return { kind: "unpacked", mountOptions: "", reason: `the kernel does not mount EROFS image files (${reason})` };
  } catch (error) {
    return {
      kind: "unpacked",
      mountOptions: "",
      reason: `mkfs.erofs does not work here (${(error as Error).message})`,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
