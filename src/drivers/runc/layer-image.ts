import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { diskTrouble, type DiskTrouble } from "../../errors/disk.ts";
import { diskError, OperatorError } from "../../errors/operator-error.ts";
import { digestHex, type Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import { freeBytes, whyNotWritable } from "../../linux/disk.ts";
import { makeErofs } from "./erofs.ts";
import { publishFile, syncFolder } from "../../linux/files.ts";
import { hashFile } from "../../linux/hash-file.ts";
import type { ImageLayer } from "./image-config.ts";
import { run, runOrFail } from "../../linux/process.ts";
import type { RootMode } from "./root-mode.ts";
import type { Syscalls } from "../../linux/syscalls.ts";
import { unpackBlob } from "../../linux/unpack.ts";

/** A layer in the form it is mounted from: an image file, or a folder where the kernel takes no images. */
export interface LayerImage {
  readonly path: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface LayerImageTools {
  /** Folder of all layer images; nothing in it counts before it has its final name. */
  readonly folder: string;
  readonly mode: RootMode;
  readonly syscalls: Syscalls;
}

export const temporaryPrefix = ".making-";

/** Final name of a layer's image. */
export function layerImagePath(tools: LayerImageTools, diffId: Digest): string {
  return join(tools.folder, `${digestHex(diffId)}.${tools.mode.kind === "erofs" ? "erofs" : "tree"}`);
}

/**
 * Makes a layer's image from its blob in the store, verified on the way.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` when blob or layer are not what their digests say
 */
export async function makeLayerImage(tools: LayerImageTools, store: Store, layer: ImageLayer): Promise<LayerImage> {
  return makeImage(tools, layer.diffId, async (tree, scratch) => {
    await unpackBlob(store, layer, { tree, scratch, syscalls: tools.syscalls });
  });
}

/** Makes an image of what `fill` puts into a folder. A crash on the way leaves only what the next start removes. */
export async function makeImage(
  tools: LayerImageTools,
  diffId: Digest,
  fill: (tree: string, scratch: string) => Promise<void>,
): Promise<LayerImage> {
  await mkdir(tools.folder, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(tools.folder, temporaryPrefix));
  const tree = join(scratch, "tree");
  const path = layerImagePath(tools, diffId);
  try {
    await mkdir(tree, { mode: 0o755 });
    await fill(tree, scratch);
    await removeImage(path);
    if (tools.mode.kind === "erofs") {
      await makeErofs(tree, join(scratch, "image"));
      await publishFile(join(scratch, "image"), path);
    } else {
      await runOrFail(`write ${tree} to disk`, "sync", ["-f", tree], { timeoutMs: 600_000 });
      await rename(tree, path);
      await syncFolder(tools.folder);
    }
    await setImmutable(path, true);
    return { path, ...(await hashImage(path)) };
  } catch (error) {
    const trouble = troubleBehind(error, tools.folder);
    if (trouble === undefined) throw error;
    throw diskError(trouble, `make the image of a layer in "${tools.folder}"`, freeBytes(tools.folder), error);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The disk's, where it is what made this fail: a program that could not write may say anything. */
function troubleBehind(error: unknown, folder: string): DiskTrouble | undefined {
  if (!(error instanceof OperatorError)) return diskTrouble(error);
  if (error.code === "DISK_FULL") return "ENOSPC";
  return error.code === "RUNTIME_FAILED" ? whyNotWritable(folder) : undefined;
}

/** Digest of an image file; of a folder, that of its tar in sorted order. */
export async function hashImage(path: string): Promise<{ readonly digest: Digest; readonly sizeBytes: number }> {
  const stats = await stat(path);
  if (stats.isFile()) return hashFile(path);
  const scratch = `${path}.tar`;
  try {
    await runOrFail(
      `read ${path}`,
      "tar",
      [
        "--create",
        "--file",
        scratch,
        "--sort=name",
        "--format=posix",
        "--pax-option=delete=atime,delete=ctime",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "--directory",
        path,
        ".",
      ],
      {
        timeoutMs: 3_600_000,
        env: { PATH: process.env["PATH"], LC_ALL: "C" },
      },
    );
    return await hashFile(scratch);
  } finally {
    await rm(scratch, { force: true });
  }
}

/** Even root cannot write, rename or remove an immutable file by accident. Not every file system has the flag. */
export async function setImmutable(path: string, on: boolean): Promise<void> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isFile() === true) await run("chattr", [on ? "+i" : "-i", path]);
}

export async function removeImage(path: string): Promise<void> {
  await setImmutable(path, false);
  await rm(path, { recursive: true, force: true });
}
