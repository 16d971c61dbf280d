import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { machineArchitecture } from "../../src/build/image-state.ts";
import { mediaTypes } from "../../src/image/media-types.ts";
import { describe, serialiseConfig, serialiseIndex, serialiseManifest } from "../../src/image/oci.ts";
import type { Digest } from "../../src/model/canonical.ts";
import { needs, require } from "../lib/packages.ts";
import { run } from "../lib/process.ts";

/** What the Dockerfiles here build on, under this name on every side. */
export const baseName = "bench-base:1";

/** Stays between runs: it takes half a minute to make. */
const folder = join(tmpdir(), "bronze-bench-base");
const leftOut = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];

/**
 * A base as people have it: Debian's minimal system with its Node, and this machine's npm, as an OCI layout of one layer.
 *
 * @returns the layout's folder
 */
export async function nodeBase(say: (text: string) => void): Promise<string> {
  const layout = join(folder, "layout");
  if (existsSync(layout)) return layout;
  await require(needs.mmdebstrap);
  say("making a base image: Debian with Node and npm");
  const making = join(folder, `making-${process.pid}`);
  try {
    await mkdir(join(making, "blobs/sha256"), { recursive: true });
    const tar = join(making, "base.tar");
    await makeTar(tar);
    const digest = await digestOf(tar);
    const { size } = await stat(tar);
    const put = async (bytes: Buffer, mediaType: string) => {
      const blob = describe(mediaType, bytes);
      await writeFile(join(making, "blobs/sha256", blob.digest.slice(7)), bytes);
      return blob;
    };
    await rename(tar, join(making, "blobs/sha256", digest.slice(7)));
    const config = serialiseConfig({
      architecture: machineArchitecture(),
      os: "linux",
      config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["/bin/sh"] },
      diffIds: [digest],
      history: [{ created: "2023-11-14T22:13:20Z", created_by: "mmdebstrap" }],
    });
    const layers = [{ mediaType: mediaTypes.layer, digest, size }];
    const manifest = serialiseManifest({
      config: await put(config, mediaTypes.config),
      layers,
      annotations: {},
    });
    await writeFile(join(making, "index.json"), serialiseIndex([await put(manifest, mediaTypes.manifest)]));
    await writeFile(join(making, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    await rename(making, layout);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return layout;
}

async function makeTar(tar: string): Promise<void> {
  const npm = dirname(dirname((await run("sh", ["-c", 'readlink -f "$(command -v npm)"'])).trim()));
  const sources = await readFile("/etc/apt/sources.list.d/debian.sources", "utf8").catch(() => "");
  await run(
    "mmdebstrap",
    [
      "--mode=root",
      "--variant=minbase",
      "--include=nodejs",
      // Containers get theirs when they start.
      "--skip=output/dev",
      ...leftOut.map((path) => `--dpkgopt=path-exclude=${path}`),
      `--customize-hook=mkdir -p "$1/usr/lib/node_modules" && cp -a '${npm}' "$1/usr/lib/node_modules/npm"`,
      '--customize-hook=ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/bin/npm"',
      "bookworm",
      tar,
      ...(sources === "" ? [] : ["-"]),
    ],
    { stdin: sources, env: { ...process.env, SOURCE_DATE_EPOCH: "1700000000" } },
  );
}

async function digestOf(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return `sha256:${hash.digest("hex")}` as Digest;
}
