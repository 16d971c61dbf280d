import { access } from "node:fs/promises";
import { attempt, run } from "./process.ts";

/** What a bench needs besides the product: program and the Debian package it comes from. */
export interface Need {
  readonly path: string;
  readonly package: string;
}

export const needs = {
  dockerd: { path: "/usr/sbin/dockerd", package: "docker.io" },
  docker: { path: "/usr/bin/docker", package: "docker.io" },
  skopeo: { path: "/usr/bin/skopeo", package: "skopeo" },
  registry: { path: "/usr/bin/docker-registry", package: "docker-registry" },
  podman: { path: "/usr/bin/podman", package: "podman" },
  umoci: { path: "/usr/bin/umoci", package: "umoci" },
  buildah: { path: "/usr/bin/buildah", package: "buildah" },
  busybox: { path: "/bin/busybox", package: "busybox-static" },
  faketime: { path: "/usr/bin/faketime", package: "faketime" },
  mmdebstrap: { path: "/usr/bin/mmdebstrap", package: "mmdebstrap" },
  btrfs: { path: "/usr/sbin/mkfs.btrfs", package: "btrfs-progs" },
  strace: { path: "/usr/bin/strace", package: "strace" },
  xfs: { path: "/usr/sbin/mkfs.xfs", package: "xfsprogs" },
} as const satisfies Record<string, Need>;

/** Installs what is missing by apt-get, saying so. @throws {Error} with the line to type when that fails */
export async function require(...wanted: readonly Need[]): Promise<void> {
  const missing = new Set<string>();
  for (const need of wanted) if (!(await there(need.path))) missing.add(need.package);
  if (missing.size === 0) return;
  const line = ["install", "-y", "--no-install-recommends", ...missing];
  console.error(`installing what this bench needs: apt-get ${line.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  if ((await attempt("apt-get", line, { env })).status === 0) return;
  await run("apt-get", ["update"], { env });
  await run("apt-get", line, { env }).catch((error: unknown) => {
    throw new Error(`this bench needs packages that could not be installed; run: apt-get ${line.join(" ")}`, {
      cause: error,
    });
  });
}

function there(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
