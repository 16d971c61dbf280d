import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { existsSync, mkdirSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { EventData } from "../../ledger/event.ts";
import { digestHex, type Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import { readText, removeFile, replaceFile } from "../../linux/files.ts";
import type { ImageLayer } from "./image-config.ts";
import {
  hashImage,
  layerImagePath,
  makeImage,
  makeLayerImage,
  removeImage,
  setImmutable,
  temporaryPrefix,
  type LayerImage,
  type LayerImageTools,
} from "./layer-image.ts";
import { readMounts } from "../../linux/mountinfo.ts";
import { run } from "../../linux/process.ts";
import { mountFlags, type Syscalls } from "../../linux/syscalls.ts";

/** What an image file looked like when its bytes were verified. */
interface Seal {
  readonly digest: Digest;
  readonly inode: string;
  readonly changedNs: string;
}

export interface LayersOptions extends LayerImageTools {
  readonly store: Store;
  /** Where layers are mounted and their seals kept; a reboot empties it. */
  readonly run: string;
  /** Images the ledger knows, by the digest of their layer's tar. */
  readonly known: ReadonlyMap<Digest, Digest>;
  readonly record: (data: EventData) => void;
}

/** A layer's image, told apart from a later one of the same layer. */
export interface UsedLayer {
  readonly diffId: Digest;
  readonly inode: string;
}

/** A layer's image on disk, and what the ledger says its bytes are. */
export interface StoredImage {
  readonly diffId: Digest;
  readonly path: string;
  readonly recorded: Digest;
}

/** Layer images on disk that the ledger knows. @param known image digests by layer */
export function storedImages(folder: string, known: ReadonlyMap<Digest, Digest>): readonly StoredImage[] {
  return [...known].flatMap(([diffId, recorded]) =>
    ["erofs", "tree"]
      .map((form) => join(folder, `${digestHex(diffId)}.${form}`))
      .filter((path) => existsSync(path))
      .map((path) => ({ diffId, path, recorded })),
  );
}

/** All layers of this machine's artifacts, each imaged once and mounted once. */
export interface Layers {
  /** Folder with the layer's files: imaged if it is not, verified before it is mounted. */
  ready(layer: ImageLayer): Promise<string>;
  /** The same for a layer made here, not taken from the store. */
  readyMade(id: Digest, fill: (tree: string) => Promise<void>): Promise<string>;
  /** A mounted layer's image has not been touched since it was verified, and is still the one that was in use then. */
  intact(layer: UsedLayer): Promise<boolean>;
  /** The image that a ready layer is mounted from now. */
  used(diffId: Digest): UsedLayer;
  /** Where a layer's files are once it is ready. */
  place(diffId: Digest): string;
  /** Layer images on disk that the ledger knows. */
  stored(): readonly StoredImage[];
  /** Takes an image away whose bytes are not those recorded; what runs from it is seen to have drifted. */
  distrust(diffId: Digest, finding: string): Promise<void>;
  /** Frees the mounts of layers whose place nobody wants. */
  keep(wanted: (place: string) => boolean): void;
}

export async function createLayers(options: LayersOptions): Promise<Layers> {
  const { folder, mode, syscalls } = options;
  const known = new Map(options.known);
  const underWay = new Map<Digest, Promise<string>>();
  const mountRoot = join(options.run, "layers");
  const sealRoot = join(options.run, "seals");
  await Promise.all([folder, mountRoot, sealRoot].map((path) => mkdir(path, { recursive: true, mode: 0o700 })));
  for (const name of await readdir(folder))
    if (name.startsWith(temporaryPrefix)) await rm(join(folder, name), { recursive: true, force: true });

  // Sixteen digits: all lower folders of an overlay must fit into one page of mount options.
  const mountPoint = (diffId: Digest): string => join(mountRoot, digestHex(diffId).slice(0, 16));
  const place = (diffId: Digest): string =>
    mode.kind === "erofs" ? mountPoint(diffId) : layerImagePath(options, diffId);
  const sealPath = (diffId: Digest): string => join(sealRoot, digestHex(diffId));

  const isMounted = (diffId: Digest): boolean => mode.kind === "unpacked" || isMountPoint(mountPoint(diffId));
  const readSeal = (diffId: Digest): Seal | undefined => {
    const text = readText(sealPath(diffId));
    return text === undefined ? undefined : (JSON.parse(text) as Seal);
  };

  async function writeSeal(diffId: Digest, path: string, digest: Digest): Promise<void> {
    await replaceFile(sealPath(diffId), JSON.stringify({ digest, ...look(path) } satisfies Seal));
  }

  async function unchanged(diffId: Digest): Promise<boolean> {
    const seal = readSeal(diffId);
    const path = layerImagePath(options, diffId);
    if (seal === undefined) return false;
    if (mode.kind === "unpacked") {
      const changed = await run("find", [path, "-cnewer", sealPath(diffId), "-print", "-quit"], { timeoutMs: 600_000 });
      return changed.code === 0 && changed.stdout === "";
    }
    try {
      const now = look(path);
      return now.inode === seal.inode && now.changedNs === seal.changedNs;
    } catch {
      return false;
    }
  }

  async function bring(diffId: Digest, make: () => Promise<LayerImage>): Promise<string> {
    const path = layerImagePath(options, diffId);
    if (isMounted(diffId) && (await unchanged(diffId))) return place(diffId);
    const recorded = known.get(diffId);
    const exists = (await stat(path).catch(() => undefined)) !== undefined;
    let digest: Digest;
    if (exists && recorded !== undefined) {
      digest = (await Promise.all([hashImage(path), setImmutable(path, true)]))[0].digest;
      if (digest !== recorded) throw await setAside(diffId, path, recorded, `its bytes are ${digest}`);
    } else {
      // A file that the ledger does not know is from a crash before it was recorded: made again, not believed.
      const image = await make();
      digest = image.digest;
      if (recorded !== undefined && recorded !== digest)
        throw await setAside(diffId, path, recorded, `its bytes are ${digest}`);
      if (recorded === undefined)
        options.record({ kind: "layer.imaged", diffId, imageDigest: digest, sizeBytes: image.sizeBytes });
      known.set(diffId, digest);
    }
    await writeSeal(diffId, path, digest);
    if (mode.kind === "erofs") {
      const target = mountPoint(diffId);
      mkdirSync(target, { recursive: true, mode: 0o700 });
      if (isMountPoint(target)) syscalls.unmount(target);
      syscalls.mount(
        path,
        target,
        "erofs",
        mountFlags.readOnly | mountFlags.noSuid | mountFlags.noDevices,
        mode.mountOptions,
      );
    }
    return place(diffId);
  }

  /** The touched image is kept for whoever looks into it; the next attempt makes a new one from the verified blob. */
  async function setAside(diffId: Digest, path: string, recorded: Digest, finding: string): Promise<OperatorError> {
    const aside = `${path}.touched`;
    await removeImage(aside);
    await setImmutable(path, false);
    await rename(path, aside);
    await removeFile(sealPath(diffId));
    if (mode.kind === "erofs" && isMountPoint(mountPoint(diffId))) syscalls.unmount(mountPoint(diffId));
    options.record({
      kind: "image.touched",
      artifact: diffId,
      path,
      finding: `${finding}, recorded are ${recorded}; set aside as ${aside}`,
    });
    return new OperatorError(
      "VERIFICATION_FAILED",
      `Cannot use the image of layer ${diffId}: ${path} was touched, ${finding}, ${recorded} needed`,
      {
        hint: `it was set aside as ${aside}; the next attempt makes it anew from the verified layer`,
      },
    );
  }

  function once(diffId: Digest, make: () => Promise<LayerImage>): Promise<string> {
    const already = underWay.get(diffId);
    if (already !== undefined) return already;
    const work = bring(diffId, make).finally(() => underWay.delete(diffId));
    underWay.set(diffId, work);
    return work;
  }

  return {
    place,
    intact: async ({ diffId, inode }) => readSeal(diffId)?.inode === inode && (await unchanged(diffId)),
    used: (diffId) => ({ diffId, inode: readSeal(diffId)?.inode ?? "" }),
    stored: () => storedImages(folder, known).filter(({ diffId }) => !underWay.has(diffId)),
    async distrust(diffId, finding) {
      const recorded = known.get(diffId);
      const path = layerImagePath(options, diffId);
      if (recorded === undefined || underWay.has(diffId) || !existsSync(path)) return;
      await setAside(diffId, path, recorded, finding);
    },
    ready: (layer) => once(layer.diffId, () => makeLayerImage(options, options.store, layer)),
    readyMade: (id, fill) => once(id, () => makeImage(options, id, fill)),
    keep(wanted) {
      const making = new Set([...underWay.keys()].map(mountPoint));
      for (const { target } of readMounts()) {
        if (target.startsWith(`${mountRoot}/`) && !making.has(target) && !wanted(target))
          unmountFolder(syscalls, target);
      }
    },
  };
}

function look(path: string): { readonly inode: string; readonly changedNs: string } {
  const stats = statSync(path, { bigint: true });
  return { inode: String(stats.ino), changedNs: String(stats.ctimeNs) };
}

/** Unmounts a folder and removes it: there would be one for each image there ever was. */
export function unmountFolder(syscalls: Syscalls, target: string): void {
  syscalls.unmount(target);
  try {
    rmdirSync(target);
  } catch {
    // Mounted twice, or busy elsewhere: the folder is empty and does no harm.
  }
}

/** A folder is a mount point when it lies on another device than its parent. */
export function isMountPoint(path: string): boolean {
  try {
    return statSync(path).dev !== statSync(join(path, "..")).dev;
  } catch {
    return false;
  }
}
