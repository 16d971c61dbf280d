import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fromBytePath } from "../../image/tar-entry.ts";
import type { ImageConfig } from "../../image/oci.ts";
import type { Digest } from "../../model/canonical.ts";
import type { StepRunner } from "../../ports/step-runner.ts";
import type { Store } from "../../ports/store.ts";
import { createLocalStore } from "../../store/local.ts";
import { buildArtifact } from "../build.ts";
import { createBuildCache } from "../cache.ts";
import { readImage } from "../image-state.ts";
import { openImageTree } from "../layer/image-tree.ts";
import type { SourceTree } from "../layer/source-tree.ts";
import type { BuildEvent, BuildOptions, BuiltArtifact } from "../options.ts";

/** A project, a store and a cache that builds of one test share. */
export interface Workshop {
  readonly project: string;
  readonly store: Store;
  readonly cacheDir: string;
  readonly events: BuildEvent[];
  /** Adds a file to the project, with the folders above it. */
  write(path: string, content?: string, mode?: number): void;
  build(
    dockerfile: string,
    options?: Partial<BuildOptions>,
    settings?: { readonly compress?: "zstd" | "gzip" },
  ): Promise<BuiltArtifact>;
  /** `PATH KIND MODE UID:GID` of the built image, with what a symlink says or a short file holds. */
  files(artifact: BuiltArtifact): Promise<readonly string[]>;
  image(artifact: BuiltArtifact): Promise<ImageConfig>;
  remove(): void;
}

const removed: string[] = [];

export function createWorkshop(steps?: () => Promise<StepRunner>): Workshop {
  const dir = mkdtempSync(join(tmpdir(), "bronze-dockerfile-"));
  const project = join(dir, "project");
  mkdirSync(project);
  const store = createLocalStore(join(dir, "store"));
  const cacheDir = join(dir, "cache");
  const events: BuildEvent[] = [];
  const { signal } = new AbortController();
  return {
    project,
    store,
    cacheDir,
    events,
    write(path, content = path, mode = 0o644) {
      mkdirSync(dirname(join(project, path)), { recursive: true });
      writeFileSync(join(project, path), content);
      chmodSync(join(project, path), mode);
    },
    build(dockerfile, options = {}, settings = {}) {
      writeFileSync(join(project, "Dockerfile"), dockerfile);
      return buildArtifact(
        { kind: "dockerfile", path: "Dockerfile", ...settings },
        {
          projectDir: project,
          store,
          cacheDir,
          sourceEpoch: 1_700_000_000,
          report: (event) => void events.push(event),
          signal,
          ...(steps === undefined ? {} : { steps }),
          ...options,
        },
      );
    },
    async files(artifact) {
      const { manifest, image } = await readImage(store, artifact.digest);
      const layers = manifest.layers.map((descriptor, i) => ({ descriptor, diffId: image.diffIds[i] as Digest }));
      const cache = createBuildCache(join(dir, "reading"));
      return describeTree(await openImageTree(layers, { blobs: store, cache, signal }));
    },
    image: async (artifact) => (await readImage(store, artifact.digest)).image,
    remove: () => {
      rmSync(dir, { recursive: true, force: true });
      // A cache is brought back to its bounds after a build has ended, and may write there once more.
      if (removed.length === 0)
        process.once("exit", () => removed.forEach((path) => rmSync(path, { recursive: true, force: true })));
      removed.push(dir);
    },
  };
}

/** `PATH KIND MODE UID:GID` of every file, with what a symlink says or a short file holds. */
export function describeTree(tree: SourceTree): readonly string[] {
  return Array.from(tree.walk(""))
    .slice(1)
    .map((file) => {
      const pieces = file.kind === "file" && file.size < 50 ? [...tree.bytes(file).read()] : [];
      const row = [fromBytePath(file.path), file.kind, file.mode.toString(8), `${file.uid}:${file.gid}`];
      return [...row, file.target, Buffer.concat(pieces).toString().trim()].filter((part) => part !== "").join(" ");
    });
}

/** The project of the tables that were held against BuildKit. */
export function fillProject({ project, write }: Workshop): void {
  write("src/a.txt", "a");
  write("src/sub/b.md", "b");
  write("src/sub/deep/c.txt", "c");
  write("two/x/d.txt", "d");
  write("run.sh", "#!/bin/sh", 0o755);
  write("e f.txt", "space");
  mkdirSync(join(project, "empty"));
  symlinkSync("src/a.txt", join(project, "link"));
  symlinkSync("src", join(project, "dlink"));
  symlinkSync("../a.txt", join(project, "src/sub/up"));
  linkSync(join(project, "src/a.txt"), join(project, "src/hard.txt"));
  const owner = ["--owner=7", "--group=8", "--mtime=@1", "--sort=name"];
  execFileSync("tar", ["-czf", join(project, "t.tar.gz"), ...owner, "-C", join(project, "two"), "."]);
  execFileSync("tar", ["-cJf", join(project, "t.tar.xz"), ...owner, "-C", join(project, "two"), "."]);
  execFileSync("tar", ["-cjf", join(project, "t.tar.bz2"), ...owner, "-C", join(project, "two"), "."]);
  execFileSync("tar", ["--zstd", "-cf", join(project, "t.tar.zst"), ...owner, "-C", join(project, "two"), "."]);
  writeFileSync(join(project, "plain.gz"), execFileSync("gzip", ["-nc", join(project, "src/a.txt")]));
}
