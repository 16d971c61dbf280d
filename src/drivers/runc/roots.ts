import { chmod, lchown, lstat, mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { canonicalJson, digestHex, sha256, type Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import { readText, replaceFile } from "../../linux/files.ts";
import { readImageConfig, type ImageConfig } from "./image-config.ts";
import { readInside, resolveInside } from "../../linux/inside.ts";
import { isMountPoint, unmountFolder, type Layers, type UsedLayer } from "./layers.ts";
import { readMounts } from "../../linux/mountinfo.ts";
import { mountFlags, type Syscalls } from "../../linux/syscalls.ts";

/** An artifact that instances can be started from. */
export interface PreparedArtifact {
  readonly artifact: Digest;
  readonly config: ImageConfig;
  readonly passwd: string;
  readonly group: string;
}

/** A folder to run in, and the layers it is joined from. */
export interface Root {
  readonly path: string;
  readonly layers: readonly UsedLayer[];
}

/** What is at a path of an image. */
export interface PlaceInImage {
  /** The path without links. */
  readonly resolved: string;
  /** Whose it is, when it is a folder. */
  readonly folder: { readonly uid: number; readonly gid: number; readonly mode: number } | undefined;
  /** Something of the image that a mount there would hide: the first thing in that folder, or the path itself. */
  readonly obstacle: string | undefined;
}

export interface Roots {
  prepare(artifact: Digest): Promise<PreparedArtifact>;
  /** The artifact's root with mount points for these tmpfs folders; shared by all instances that want the same. */
  root(artifact: Digest, tmpfs: readonly string[]): Promise<Root>;
  /** What an image has at a path, which is followed through its links. */
  look(artifact: Digest, path: string): Promise<PlaceInImage>;
  /** Frees the roots of all artifacts but these, and the layers nobody then needs. */
  keep(artifacts: ReadonlySet<Digest>): Promise<void>;
}

/** Files of ours that appear in every instance. */
export const boundFiles = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"] as const;
const folders = ["/dev", "/proc", "/sys", "/tmp"] as const;
const mostOptionBytes = 4095;

export function createRoots(options: {
  readonly run: string;
  readonly store: Store;
  readonly layers: Layers;
  readonly syscalls: Syscalls;
}): Roots {
  const { layers, syscalls } = options;
  const rootFolder = join(options.run, "roots");
  const prepared = new Map<Digest, PreparedArtifact>();
  const underWay = new Map<string, { readonly artifact: Digest; readonly done: Promise<unknown> }>();
  /** What was asked for while somebody waits to free the rest. */
  const waiting = new Set<Set<Digest>>();

  function once<T>(artifact: Digest, what: string, work: () => Promise<T>): Promise<T> {
    for (const asked of waiting) asked.add(artifact);
    const key = `${what} ${artifact}`;
    const already = underWay.get(key);
    if (already !== undefined) return already.done as Promise<T>;
    const done = work().finally(() => underWay.delete(key));
    underWay.set(key, { artifact, done });
    return done;
  }

  function mountOverlay(target: string, lower: readonly string[]): void {
    const data = `lowerdir=${lower.map((path) => path.replace(/[\\:,]/g, "\\$&")).join(":")}`;
    if (Buffer.byteLength(data) > mostOptionBytes) {
      throw new OperatorError(
        "RUNTIME_FAILED",
        `Cannot join ${lower.length} layers into one root: their names do not fit into a mount's options`,
        {
          hint: "build the image with fewer layers, or use a state folder with a shorter path",
        },
      );
    }
    syscalls.mount("overlay", target, "overlay", mountFlags.readOnly | mountFlags.noSuid | mountFlags.noDevices, data);
  }

  /** Calls back with a folder that shows the image's layers joined. */
  async function withImage<T>(config: ImageConfig, key: string, use: (root: string) => Promise<T>): Promise<T> {
    const lower = config.layers.map((layer) => layers.place(layer.diffId)).reverse();
    const [only] = lower;
    if (lower.length === 1 && only !== undefined) return use(only);
    const target = join(rootFolder, `.look-${key}`);
    mkdirSync(target, { recursive: true, mode: 0o700 });
    if (isMountPoint(target)) syscalls.unmount(target);
    mountOverlay(target, lower);
    try {
      return await use(target);
    } finally {
      unmountFolder(syscalls, target);
    }
  }

  async function prepare(artifact: Digest): Promise<PreparedArtifact> {
    const config = prepared.get(artifact)?.config ?? (await readImageConfig(options.store, artifact));
    await Promise.all(config.layers.map((layer) => layers.ready(layer)));
    const already = prepared.get(artifact);
    if (already !== undefined) return already;
    const entry = await withImage(config, digestHex(artifact).slice(0, 16), async (root) => ({
      artifact,
      config,
      passwd: (await readInside(root, "/etc/passwd")) ?? "",
      group: (await readInside(root, "/etc/group")) ?? "",
    }));
    prepared.set(artifact, entry);
    return entry;
  }

  async function makeRoot(artifact: Digest, tmpfs: readonly string[]): Promise<Root> {
    const { config } = await once(artifact, "prepare", () => prepare(artifact));
    const points: readonly MountPoint[] = [
      ...boundFiles.map((path) => ({ path, kind: "file" as const })),
      ...[...new Set([...folders, ...tmpfs, config.workingDir])]
        .sort()
        .map((path) => ({ path, kind: "folder" as const, ...(path === "/tmp" ? { mode: 0o1777 } : {}) })),
    ];
    const top = sha256(
      `bronze mount points\n${canonicalJson({ layers: config.layers.map((layer) => layer.diffId), points: points as never })}`,
    );
    const key = digestHex(top).slice(0, 16);
    const topPath = await layers.readyMade(top, (tree) =>
      withImage(config, key, (root) => makeMountPoints(root, tree, points)),
    );
    const ids = [...config.layers.map((layer) => layer.diffId), top];
    const path = join(rootFolder, `${digestHex(artifact).slice(0, 16)}-${key}`);
    const lower = [topPath, ...config.layers.map((layer) => layers.place(layer.diffId)).reverse()];
    // Made and mounted without a wait between: what is unmounted meanwhile takes its folder along.
    mkdirSync(path, { recursive: true, mode: 0o700 });
    // While an overlay lives, so do the file systems below it: a layer that was mounted anew has another device.
    const devices = lower.map((place) => String(statSync(place).dev)).join(" ");
    const mounted = isMountPoint(path);
    if (!mounted || readText(`${path}.devices`) !== devices) {
      if (mounted) syscalls.unmount(path);
      mountOverlay(path, lower);
      await replaceFile(`${path}.devices`, devices);
    }
    return { path, layers: ids.map((id) => layers.used(id)) };
  }

  async function look(artifact: Digest, path: string): Promise<PlaceInImage> {
    const { config } = await once(artifact, "prepare", () => prepare(artifact));
    const key = `${digestHex(artifact).slice(0, 16)}-${digestHex(sha256(path)).slice(0, 16)}`;
    return withImage(config, key, async (root) => {
      const resolved = await resolveInside(root, path);
      const stats = await lstat(join(root, resolved)).catch(() => undefined);
      if (stats?.isDirectory() !== true)
        return { resolved, folder: undefined, obstacle: stats === undefined ? undefined : resolved };
      const [first] = (await readdir(join(root, resolved))).sort();
      const folder = { uid: stats.uid, gid: stats.gid, mode: stats.mode & 0o7777 };
      return { resolved, folder, obstacle: first === undefined ? undefined : join(resolved, first) };
    });
  }

  return {
    look: (artifact, path) => once(artifact, `look ${path}`, () => look(artifact, path)),
    async prepare(artifact) {
      const entry = await once(artifact, "prepare", () => prepare(artifact));
      await once(artifact, "root", () => makeRoot(artifact, []));
      return entry;
    },
    root: (artifact, tmpfs) => once(artifact, ["root", ...tmpfs].join("\n"), () => makeRoot(artifact, tmpfs)),
    async keep(unlessAsked) {
      // Layers are shared: none may go while a root is being joined from it. From the last wait on nothing comes between.
      const asked = new Set([...underWay.values()].map(({ artifact }) => artifact));
      waiting.add(asked);
      while (underWay.size > 0) await Promise.allSettled([...underWay.values()].map(({ done }) => done));
      waiting.delete(asked);
      const artifacts = new Set([...unlessAsked, ...asked]);
      const kept = new Set([...artifacts].map((artifact) => digestHex(artifact).slice(0, 16)));
      const lowers = new Set<string>();
      for (const mount of readMounts()) {
        if (!mount.target.startsWith(`${rootFolder}/`)) continue;
        if (kept.has(mount.target.slice(rootFolder.length + 1).split("-")[0] ?? "")) lowers.add(mount.superOptions);
        else {
          unmountFolder(syscalls, mount.target);
          rmSync(`${mount.target}.devices`, { force: true });
        }
      }
      for (const artifact of prepared.keys()) if (!artifacts.has(artifact)) prepared.delete(artifact);
      const texts = [...lowers];
      layers.keep((place) => texts.some((options) => options.includes(place)));
    },
  };
}

interface MountPoint {
  readonly path: string;
  readonly kind: "file" | "folder";
  /** Permission bits of the folder, where the image lacks it; absent: 0755. runc gives them to a tmpfs on it. */
  readonly mode?: number;
}

/** Fills `tree` with what of `points` the image lacks, each folder on the way as it is in the image. */
async function makeMountPoints(root: string, tree: string, points: readonly MountPoint[]): Promise<void> {
  const made = new Map<string, { mode: number; uid: number; gid: number; mtimeMs: number }>();
  const fresh = { mode: 0o755, uid: 0, gid: 0, mtimeMs: 0 };
  const attributes = async (path: string): Promise<typeof fresh | undefined> => {
    const stats = await lstat(join(root, path)).catch(() => undefined);
    return stats === undefined
      ? undefined
      : { mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid, mtimeMs: stats.mtimeMs };
  };
  made.set("/", (await attributes("/")) ?? fresh);
  for (const point of points) {
    const path = await resolveInside(root, point.path);
    if ((await attributes(path)) !== undefined) continue;
    const folder = point.kind === "folder" ? path : dirname(path);
    const parts = folder.split("/").filter((part) => part !== "");
    for (let index = 1; index <= parts.length; index += 1) {
      const here = `/${parts.slice(0, index).join("/")}`;
      if (made.has(here)) continue;
      await mkdir(join(tree, here));
      const own = here === path && point.mode !== undefined ? { ...fresh, mode: point.mode } : fresh;
      made.set(here, (await attributes(here)) ?? own);
    }
    if (point.kind === "file") {
      await writeFile(join(tree, path), "", { mode: 0o644 });
      await utimes(join(tree, path), 0, 0);
    }
  }
  for (const [path, { mode, uid, gid, mtimeMs }] of [...made].sort(([a], [b]) => b.length - a.length)) {
    await lchown(join(tree, path), uid, gid);
    await chmod(join(tree, path), mode);
    await utimes(join(tree, path), mtimeMs / 1000, mtimeMs / 1000);
  }
}
