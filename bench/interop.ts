import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDockerRegistry } from "../test/support/docker-registry.ts";
import { parseDigest } from "../src/model/names.ts";
import { launcher, startBronze, type Bronze } from "./lib/bronze.ts";
import { stopsOnce } from "./lib/cleanup.ts";
import { startDocker, type Docker } from "./lib/docker.ts";
import type { Bench } from "./lib/figures.ts";
import { needs, require } from "./lib/packages.ts";
import { run } from "./lib/process.ts";
import { startPodman } from "./interop/podman.ts";
import { writeProject } from "./interop/project.ts";
import { differences, listTree, type Tree } from "./interop/tree.ts";

/** Each way between Bronze and others' tools: the same digest where bytes are carried, the same files wherever they are unpacked. */
export const interopBench: Bench = async ({ say }) => {
  await require(needs.dockerd, needs.docker, needs.podman, needs.buildah, needs.umoci, needs.skopeo, needs.registry, needs.busybox);
  const folder = mkdtempSync(join(tmpdir(), "bronze-interop-"));
  const stops: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = stopsOnce(async () => {
    for (const end of stops.splice(0).reverse()) await end();
  });
  const rows: { readonly what: string; readonly found: readonly string[] }[] = [];
  const check = async (what: string, find: () => Promise<readonly string[]>): Promise<void> => {
    say(what);
    const found = await find().catch((error: unknown) => [error instanceof Error ? error.message : String(error)]);
    rows.push({ what, found });
  };
  const same = (ours: string, theirs: string): readonly string[] => (ours === theirs ? [] : [`${ours} | ${theirs}`]);
  try {
    // Dates of files are part of the comparison: all tools get the same ones.
    process.env["SOURCE_DATE_EPOCH"] = "1700000000";
    const registry = await startDockerRegistry(
      { after: (end) => void stops.push(end as () => unknown) },
      { guarded: false },
    );
    // Nothing of an earlier run may be there: what is in the store is not transferred.
    const state = join(tmpdir(), "bronze-interop-daemon");
    stops.push(() => rmSync(state, { recursive: true, force: true }));
    for (const kept of ["store", "cache"]) rmSync(join(state, kept), { recursive: true, force: true });
    const bronze = await startBronze("bronze-interop-daemon");
    stops.push(() => bronze.stop());
    const docker = await startDocker({ builds: true });
    stops.push(() => docker.stop());
    const podman = await startPodman();
    stops.push(() => podman.stop());
    const project = join(folder, "project");
    mkdirSync(project);
    writeProject(project);
    const host = registry.host;
    const inProject = (...args: readonly string[]) => bronzeIn(bronze, project, args);

    const digest = (await inProject("build")).trim();
    const ours = await treeOf(bronze, digest);
    const archive = join(folder, "ours.tar");
    await inProject("save", "interop", "-o", archive);
    await inProject("push", `${host}/ours:1`);

    await check("push, read by skopeo: digest", async () =>
      same(digest, digestOf(await run("skopeo", ["inspect", "--tls-verify=false", `docker://${host}/ours:1`]))),
    );
    await check("save, read by skopeo as OCI: digest", async () =>
      same(digest, digestOf(await run("skopeo", ["inspect", `oci-archive:${archive}`]))),
    );
    await check("save, unpacked by umoci: files", async () => {
      const layout = join(folder, "layout");
      mkdirSync(layout);
      await run("tar", ["--extract", "--file", archive, "--directory", layout]);
      const bundle = join(folder, "bundle");
      await run(needs.umoci.path, ["unpack", "--image", `${layout}:latest`, bundle]);
      return differences(ours, listTree(join(bundle, "rootfs")));
    });
    await check("save, podman load: files", async () => {
      const loaded = await podman.podman("load", "--quiet", "--input", archive);
      return differences(ours, listTree(await podman.mount(loaded.trim().replace(/^Loaded image:\s*/, ""))));
    });
    await check("push, podman pull: digest and files", async () => {
      const name = `${host}/ours:1`;
      await podman.podman("pull", "--quiet", "--tls-verify=false", name);
      const got = (await podman.podman("image", "inspect", "--format", "{{.Digest}}", name)).trim();
      return [...same(digest, got), ...differences(ours, listTree(await podman.mount(name)))];
    });
    await check("save, docker load: files", async () => {
      await docker.docker("load", "--quiet", "--input", archive);
      return differences(ours, await dockerTree(docker, "interop:latest", folder));
    });
    await check("save --format docker of zstd layers, docker load: files", async () => {
      const packed = join(folder, "zstd");
      mkdirSync(packed);
      await run("skopeo", [
        "copy",
        "--quiet",
        "--dest-compress",
        "--dest-compress-format=zstd",
        `oci-archive:${archive}`,
        `oci:${packed}:zstd`,
      ]);
      const file = join(folder, "zstd.tar");
      await inProject("import", packed, "--name", "zstd:1");
      await inProject("save", "zstd:1", "-o", file, "--format", "docker");
      await docker.docker("load", "--quiet", "--input", file);
      return differences(ours, await dockerTree(docker, "zstd:1", folder));
    });
    await check("push, docker pull: digest and files", async () => {
      const name = `${host}/ours:1`;
      await docker.docker("pull", "--quiet", name);
      const got = await docker.docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", name);
      return [
        ...same(`${host}/ours@${digest}`, got.trim()),
        ...differences(ours, await dockerTree(docker, name, folder)),
      ];
    });

    await docker.docker("build", "--quiet", "--tag", `${host}/docker:1`, project);
    const theirs = await dockerTree(docker, `${host}/docker:1`, folder);
    await check("docker build, push; bronze pull, deploy: files", async () => {
      await docker.docker("push", "--quiet", `${host}/docker:1`);
      return differences(await treeOf(bronze, (await inProject("pull", `${host}/docker:1`)).trim()), theirs);
    });
    await check("docker build, save; bronze import, deploy: files", async () => {
      const file = join(folder, "docker.tar");
      await docker.docker("save", "--output", file, `${host}/docker:1`);
      return differences(await treeOf(bronze, (await inProject("import", file)).trim()), theirs);
    });
    await podman.buildah("build", "--quiet", "--isolation", "chroot", "--tag", "built:1", project);
    const built = listTree(await podman.mount("localhost/built:1"));
    for (const form of ["oci-archive", "docker-archive"]) {
      await check(`buildah, ${form}; bronze import, deploy: files`, async () => {
        const file = join(folder, `${form}.tar`);
        await podman.buildah("push", "--quiet", "localhost/built:1", `${form}:${file}:built:1`);
        return differences(await treeOf(bronze, (await inProject("import", file)).trim()), built);
      });
    }
    await check("buildah, push; bronze pull, deploy: files", async () => {
      await podman.buildah("push", "--quiet", "--tls-verify=false", "localhost/built:1", `docker://${host}/built:1`);
      return differences(await treeOf(bronze, (await inProject("pull", `${host}/built:1`)).trim()), built);
    });
    await check("podman save; bronze import, deploy: files", async () => {
      const file = join(folder, "podman.tar");
      await podman.podman("save", "--quiet", "--format", "docker-archive", "--output", file, "localhost/built:1");
      return differences(await treeOf(bronze, (await inProject("import", file)).trim()), built);
    });
  } finally {
    await stop();
  }
  const failed = rows.filter(({ found }) => found.length > 0);
  return {
    figures: [
      { name: "checks", value: rows.length, unit: "", runs: 1 },
      { name: "different", value: failed.length, unit: "", runs: 1, goal: { atMost: 0 } },
    ],
    notes: rows.flatMap(({ what, found }) => [
      `${found.length === 0 ? "same     " : "DIFFERENT"} ${what}`,
      ...found.map((line) => `            ${line}`),
    ]),
    failed: failed.length > 0,
  };
};

function bronzeIn(bronze: Bronze, cwd: string, args: readonly string[]): Promise<string> {
  const env = { ...process.env, BRONZE_STATE: bronze.places.state, NO_COLOR: "1" };
  return run(launcher, args, { cwd, env });
}

function digestOf(inspected: string): string {
  return (JSON.parse(inspected) as { readonly Digest: string }).Digest;
}

/** What an instance of the image sees. */
async function treeOf(bronze: Bronze, digest: string): Promise<Tree> {
  await bronze.deploy(parseDigest(digest), { port: 8080 }, {});
  const { instances } = await bronze.status();
  const pid = instances.find((instance) => instance.role === "live")?.pid;
  if (pid === undefined || pid === null) throw new Error("no instance is live");
  return listTree(`/proc/${pid}/root`);
}

async function dockerTree(docker: Docker, image: string, folder: string): Promise<Tree> {
  const id = (await docker.docker("create", "--network", "none", image)).trim();
  const root = mkdtempSync(join(folder, "docker-"));
  const archive = `${root}.tar`;
  await docker.docker("export", "--output", archive, id);
  await docker.docker("rm", id);
  await run("tar", ["--extract", "--same-owner", "--preserve-permissions", "--file", archive, "--directory", root]);
  return listTree(root);
}
