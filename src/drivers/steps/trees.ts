import { mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestHex, type Digest } from "../../model/canonical.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { Blobs } from "../../ports/store.ts";
import { readText } from "../../linux/files.ts";
import type { Syscalls } from "../../linux/syscalls.ts";
import { unpackBlob } from "../../linux/unpack.ts";

/** Layers unpacked once each, as overlayfs takes them. A folder of them may be deleted whenever no step runs. */
export interface Trees {
  /** Folder with a layer's files, unpacked from its blob if it is not. @throws {OperatorError} as {@link unpackBlob} */
  ready(layer: StepLayer, blobs: Blobs): Promise<string>;
  /** Makes a folder, which then belongs to the trees, the one of a layer. @returns where it is now */
  adopt(diffId: Digest, tree: string): Promise<string>;
}

const bootIdFile = "/proc/sys/kernel/random/boot_id";

/**
 * Trees are `DIR/HEX/tree`, HEX being that of the digest of the layer's tar. They are not synced to disk: one counts only in the
 * boot in which it was made, which its `boot` file names.
 *
 * @param scratch makes an empty folder on the same file system
 */
export function createTrees(dir: string, scratch: () => Promise<string>, syscalls: Syscalls): Trees {
  const boot = readText(bootIdFile)?.trim() ?? "";
  const underWay = new Map<Digest, Promise<string>>();
  const folderOf = (diffId: Digest): string => join(dir, digestHex(diffId));
  const treeOf = (diffId: Digest): string => join(folderOf(diffId), "tree");
  const holds = (diffId: Digest): boolean => readText(join(folderOf(diffId), "boot"))?.trim() === boot;

  /** Gives `made`, with a folder `tree` in it, its name; what another has put there meanwhile is as good. */
  async function publish(diffId: Digest, made: string): Promise<string> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await writeFile(join(made, "boot"), `${boot}\n`);
    for (;;) {
      try {
        await rename(made, folderOf(diffId));
        return treeOf(diffId);
      } catch (error) {
        if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
        if (holds(diffId)) return treeOf(diffId);
        const aside = await scratch();
        await rename(folderOf(diffId), join(aside, "stale")).catch(unlessGone);
        await rm(aside, { recursive: true, force: true });
      }
    }
  }

  async function bring(layer: StepLayer, blobs: Blobs): Promise<string> {
    if (holds(layer.diffId) && (await touch(folderOf(layer.diffId)))) return treeOf(layer.diffId);
    const place = await scratch();
    try {
      const made = join(place, "made");
      const tree = join(made, "tree");
      await mkdir(made, { mode: 0o700 });
      await mkdir(tree, { mode: 0o755 });
      await unpackBlob(
        blobs,
        { blob: layer.descriptor.digest, diffId: layer.diffId },
        { tree, scratch: place, syscalls },
      );
      return await publish(layer.diffId, made);
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  }

  return {
    ready(layer, blobs) {
      const already = underWay.get(layer.diffId);
      if (already !== undefined) return already;
      const work = bring(layer, blobs).finally(() => underWay.delete(layer.diffId));
      underWay.set(layer.diffId, work);
      return work;
    },
    async adopt(diffId, tree) {
      const place = await scratch();
      try {
        const made = join(place, "made");
        await mkdir(made, { mode: 0o700 });
        await rename(tree, join(made, "tree"));
        return await publish(diffId, made);
      } finally {
        await rm(place, { recursive: true, force: true });
      }
    },
  };
}

/** Least recently used ones go first. @returns false where it has gone just now */
async function touch(folder: string): Promise<boolean> {
  const now = new Date();
  try {
    await utimes(folder, now, now);
    return true;
  } catch (error) {
    unlessGone(error as NodeJS.ErrnoException);
    return false;
  }
}

function unlessGone(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
