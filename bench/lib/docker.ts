import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stopsOnce } from "./cleanup.ts";
import { needs, require } from "./packages.ts";
import { attempt, run } from "./process.ts";

/** Debian's docker with a data folder of its own. */
export interface Docker {
  docker(...args: readonly string[]): Promise<string>;
  /** Loads an image from an OCI layout under a name. */
  load(layout: string, name: string): Promise<void>;
  /** Address of the n-th container in the bench's network. */
  address(n: number): string;
  readonly network: string;
  stop(): Promise<void>;
}

const startMs = 20_000;
const cgroups = "/sys/fs/cgroup";

/**
 * Starts dockerd in a temporary folder. It leaves the machine's packet filter alone (`--iptables=false`): the host
 * reaches containers without it, and its rules would outlive it and drop what others forward.
 *
 * @param builds whether images are built, by BuildKit: its steps get a network by a bridge, as they do by default
 */
export async function startDocker({ builds = false }: { readonly builds?: boolean } = {}): Promise<Docker> {
  await require(needs.dockerd, needs.docker, needs.skopeo);
  const folder = await mkdtemp(join(tmpdir(), "bronze-docker-"));
  const host = `unix://${join(folder, "docker.sock")}`;
  const network = `bzd${folder.slice(-6).toLowerCase()}`;
  const subnet = `10.${64 + Math.floor(Math.random() * 60)}.${Math.floor(Math.random() * 250)}`;
  if (builds) {
    await run("ip", ["link", "add", network, "type", "bridge"]);
    await run("ip", ["address", "add", `${subnet}.1/24`, "dev", network]);
    await run("ip", ["link", "set", network, "up"]);
  }
  const daemon = spawn(
    needs.dockerd.path,
    [
      `--data-root=${join(folder, "data")}`,
      `--exec-root=${join(folder, "exec")}`,
      `--pidfile=${join(folder, "pid")}`,
      `--host=${host}`,
      `--cgroup-parent=/${network}`,
      `--bridge=${builds ? network : "none"}`,
      "--iptables=false",
      "--ip6tables=false",
      "--ip-forward=false",
      "--ip-masq=false",
    ],
    { stdio: ["ignore", "ignore", "ignore"], detached: true },
  );
  let ended = false;
  const exit = new Promise<void>((resolve) => daemon.on("exit", () => ((ended = true), resolve())));
  const env = { ...process.env, DOCKER_BUILDKIT: "1", DOCKER_CONFIG: join(folder, "config") };
  const docker = (...args: readonly string[]) => run(needs.docker.path, ["--host", host, ...args], { env });
  const stop = stopsOnce(async () => {
    if (!ended) {
      const ids = (await docker("ps", "-aq").catch(() => "")).split("\n").filter((id) => id !== "");
      if (ids.length > 0) await docker("rm", "-f", ...ids).catch(() => "");
      if (!builds) await docker("network", "rm", network).catch(() => "");
      daemon.kill("SIGTERM");
      await exit;
    }
    if (builds) await attempt("ip", ["link", "delete", network]);
    await unmountUnder(folder);
    for (const hierarchy of await readdir(cgroups)) await removeGroups(join(cgroups, hierarchy, network));
    await rm(folder, { recursive: true, force: true });
  });
  try {
    const deadline = performance.now() + startMs;
    while ((await attempt(needs.docker.path, ["--host", host, "version"])).status !== 0) {
      if (ended || performance.now() > deadline) throw new Error("dockerd did not start; try: dockerd --debug");
      await sleep(100);
    }
    if (!builds)
      await docker(
        "network",
        "create",
        "--subnet",
        `${subnet}.0/24`,
        "-o",
        `com.docker.network.bridge.name=${network}`,
        network,
      );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    docker,
    load: async (layout, name) => {
      const archive = join(folder, "image.tar");
      await run(needs.skopeo.path, ["--insecure-policy", "copy", `oci:${layout}`, `docker-archive:${archive}:${name}`]);
      await docker("load", "--input", archive);
      await rm(archive);
    },
    address: (n) => `${subnet}.${10 + n}`,
    network,
    stop,
  };
}

/** A cgroup and those below it; what still has a process stays. */
async function removeGroups(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => []))
    if (entry.isDirectory()) await removeGroups(join(path, entry.name));
  await rmdir(path).catch(() => {});
}

async function unmountUnder(folder: string): Promise<void> {
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1] ?? "");
  for (const path of mounts.filter((mount) => mount.startsWith(`${folder}/`)).reverse())
    await attempt("umount", [path]);
}
