import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stopsOnce } from "../lib/cleanup.ts";
import { needs } from "../lib/packages.ts";
import { attempt, run } from "../lib/process.ts";

/** Podman and buildah with one storage of their own. */
export interface Podman {
  podman(...args: readonly string[]): Promise<string>;
  buildah(...args: readonly string[]): Promise<string>;
  /** Where an image's files are. */
  mount(image: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startPodman(): Promise<Podman> {
  const folder = await mkdtemp(join(tmpdir(), "bronze-podman-"));
  const storage = ["--root", join(folder, "root"), "--runroot", join(folder, "run"), "--storage-driver", "vfs"];
  const podman = (...args: readonly string[]) =>
    run(needs.podman.path, [...storage, "--cgroup-manager", "cgroupfs", "--events-backend", "none", ...args]);
  return {
    podman,
    buildah: (...args) => run(needs.buildah.path, [...storage, ...args]),
    mount: async (image) => (await podman("image", "mount", image)).trim(),
    stop: stopsOnce(async () => {
      await podman("image", "unmount", "--all").catch(() => "");
      await attempt("umount", [join(folder, "root/vfs")]);
      await rm(folder, { recursive: true, force: true });
    }),
  };
}
