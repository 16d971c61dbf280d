import { chmod, chown, lstat, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { BytePath } from "../../image/tar-entry.ts";
import type { StepMount } from "../../ports/step-runner.ts";
import type { Blobs } from "../../ports/store.ts";
import { resolveInside } from "../../linux/inside.ts";
import type { HeldLock } from "../../linux/lock.ts";
import type { OciMount } from "../../linux/oci.ts";
import { holdCacheFolder } from "./cache-mounts.ts";
import type { Launched, OverlayMount } from "./launcher.ts";
import { makeMountPoint } from "./mount-points.ts";
import type { Trees } from "./trees.ts";

/** What a step's mounts need before its namespaces are made. */
export interface MountSources {
  /** What is to be mounted in the step's namespace, for the binds. */
  readonly overlays: readonly OverlayMount[];
  /** The container's mounts, once the namespaces are there. */
  place(launched: Launched, root: string): Promise<Placed>;
  /** Gives back the locks of cache folders. */
  release(): Promise<void>;
}

export interface Placed {
  readonly mounts: readonly OciMount[];
  /** What had to be made in the root for them. */
  readonly stubs: readonly BytePath[];
}

/** Where a mount's files are: a path in the step's mount namespace. */
type Source = (launched: Launched) => Promise<Omit<OciMount, "destination"> & { readonly isFile: boolean }>;

/**
 * @param folder the step's; its `private` is a file system in memory once the namespaces are there
 * @param cacheMounts folder of all cache mounts
 */
export async function prepareMounts(
  mounts: readonly StepMount[],
  {
    folder,
    cacheMounts,
    trees,
    blobs,
    signal,
  }: {
    readonly folder: string;
    readonly cacheMounts: string;
    readonly trees: Trees;
    readonly blobs: Blobs;
    readonly signal: AbortSignal;
  },
): Promise<MountSources> {
  const overlays: OverlayMount[] = [];
  const locks: HeldLock[] = [];
  // A cache that is mounted twice in one step is held once.
  const held = new Map<string, string>();
  const sources: { readonly target: string; readonly source: Source }[] = [];
  const release = async (): Promise<void> => {
    for (const lock of locks.splice(0)) await lock.release();
  };

  const overlay = async (name: string, lower: readonly string[], writable: boolean): Promise<string> => {
    const target = join(folder, "private", name);
    const aside = join(folder, name);
    await mkdir(join(aside, "none"), { recursive: true });
    if (writable) for (const part of ["upper", "work"]) await mkdir(join(aside, part), { mode: 0o755 });
    const upper = writable ? { upper: { upper: join(aside, "upper"), work: join(aside, "work") } } : {};
    // A read-only overlay wants two folders at least.
    overlays.push({ target, ...upper, lower: [...lower, join(aside, "none")] });
    return target;
  };

  const bind = async (mount: Extract<StepMount, { kind: "bind" }>, name: string): Promise<Source> => {
    const { from, writable } = mount;
    const options = ["bind", writable ? "rw" : "ro", "nosuid", "nodev"];
    if ("folder" in from) {
      const stats = await lstat(from.folder);
      if (!writable || !stats.isDirectory())
        return async () => ({ type: "bind", source: from.folder, options, isFile: !stats.isDirectory() });
      const target = await overlay(name, [from.folder], true);
      return async () => ({ type: "bind", source: target, options, isFile: false });
    }
    const lower = await Promise.all(from.layers.map((layer) => trees.ready(layer, blobs)));
    const target = await overlay(name, lower.toReversed(), writable);
    return async (launched) => {
      const inside = await resolveInside(launched.inside(target), from.path);
      const stats = await lstat(launched.inside(join(target, inside))).catch(() => undefined);
      if (stats !== undefined)
        return { type: "bind", source: join(target, inside), options, isFile: !stats.isDirectory() };
      throw new OperatorError(
        "BUILD_FAILED",
        `Cannot mount "${from.path}": the image it is to come from has no such path`,
        {
          hint: "correct the mount's source",
        },
      );
    };
  };

  const secret = (mount: Extract<StepMount, { kind: "secret" }>, name: string): Source => {
    const source = join(folder, "private", name);
    return async (launched) => {
      const path = launched.inside(source);
      await writeFile(path, mount.value, { mode: 0o600 });
      await chown(path, mount.uid, mount.gid);
      await chmod(path, mount.mode);
      return { type: "bind", source, options: ["bind", "ro", "nosuid", "nodev", "noexec"], isFile: true };
    };
  };

  const hold = async (mount: Extract<StepMount, { kind: "cache" }>): Promise<string> => {
    const { folder: source, lock } = await holdCacheFolder(cacheMounts, mount, signal);
    locks.push(lock);
    held.set(mount.id, source);
    return source;
  };

  const sourceOf = async (mount: StepMount, name: string): Promise<Source> => {
    switch (mount.kind) {
      case "bind":
        return bind(mount, name);
      case "secret":
        return secret(mount, name);
      case "cache": {
        const source = held.get(mount.id) ?? (await hold(mount));
        const options = ["bind", mount.writable ? "rw" : "ro", "nosuid", "nodev"];
        return async () => ({ type: "bind", source, options, isFile: false });
      }
      case "tmpfs": {
        const size = mount.bytes === null ? [] : [`size=${mount.bytes}`];
        const options = ["nosuid", "nodev", "mode=1777", ...size];
        return async () => ({ type: "tmpfs", source: "tmpfs", options, isFile: false });
      }
    }
  };

  try {
    // Locks are taken in one order by all: two steps that want the same two caches do not wait for each other for ever.
    const ordered = mounts.toSorted((a, b) => compare(lockKey(a), lockKey(b)));
    for (const [index, mount] of ordered.entries())
      sources.push({ target: mount.target, source: await sourceOf(mount, `mount-${index}`) });
  } catch (error) {
    await release();
    throw error;
  }
  // What is mounted on a folder comes before what is mounted in it.
  sources.sort((a, b) => depth(a.target) - depth(b.target) || compare(a.target, b.target));

  return {
    overlays,
    release,
    async place(launched, root) {
      const stubs: BytePath[] = [];
      const placed: OciMount[] = [];
      for (const { target, source } of sources) {
        const { isFile, ...mount } = await source(launched);
        const point = await makeMountPoint(launched.inside(root), target, isFile ? "file" : "folder");
        stubs.push(...point.made);
        placed.push({ destination: point.path, ...mount });
      }
      return { mounts: placed, stubs };
    },
  };
}

function lockKey(mount: StepMount): string {
  return mount.kind === "cache" ? mount.id : "";
}

function depth(path: string): number {
  return path.split("/").filter((part) => part !== "").length;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
