import { lstatSync, type BigIntStats } from "node:fs";
import type { Attributes } from "../../linux/attributes.ts";

/** A folder of one of the layers below. */
export interface LowerFolder {
  readonly location: Buffer;
  /** It is in what a step set aside, which images do not have. */
  readonly aside: boolean;
}

/** What the layers below have under a name. */
export interface LowerNode {
  /** As images see it; undefined: nothing. */
  readonly image: { readonly stats: BigIntStats; readonly location: Buffer } | undefined;
  /** Something set aside has that name. */
  readonly aside: boolean;
  /** Where it is a folder: all that are merged there, highest first. */
  readonly folders: readonly LowerFolder[];
}

const opaqueAttribute = "trusted.overlay.opaque";

export function isOpaque(path: Buffer, attributes: Attributes): boolean {
  return attributes.read([path])[0]?.get(opaqueAttribute) === "y";
}

export function isWhiteout(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0n;
}

export function child(folder: Buffer, name: string): Buffer {
  return Buffer.concat([folder, Buffer.from(`/${name}`, "latin1")]);
}

/** Looks a name up as overlayfs does. @see Documentation/filesystems/overlayfs.rst, "Directories" */
export function lookBelow(folders: readonly LowerFolder[], name: string, attributes: Attributes): LowerNode {
  let image: LowerNode["image"];
  let aside = false;
  let isFolder: boolean | undefined;
  const merged: LowerFolder[] = [];
  for (const [index, folder] of folders.entries()) {
    const location = child(folder.location, name);
    const stats = lstatSync(location, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) continue;
    if (isWhiteout(stats)) break;
    isFolder ??= stats.isDirectory();
    // A file under a folder ends what is merged; it is hidden.
    if (stats.isDirectory() !== isFolder) break;
    if (folder.aside) aside = true;
    else image ??= { stats, location };
    if (!isFolder) {
      if (!folder.aside) break;
      continue;
    }
    merged.push({ location, aside: folder.aside });
    if (index < folders.length - 1 && isOpaque(location, attributes)) break;
  }
  return { image, aside, folders: merged };
}
