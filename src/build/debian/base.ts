import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import { compareEntries, type BytePath } from "../../image/tar-entry.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { mediaTypes } from "../../image/media-types.ts";
import { isDigest } from "../../model/canonical.ts";
import type { Descriptor, Store } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import { runCommand } from "../command.ts";
import { readPieces } from "../layer/compose.ts";
import { finishRoot, mergeUsr, type DebianPackage } from "./root.ts";
import { debianSources } from "./sources.ts";
import { writeLayer } from "../layer/layer.ts";
import type { BuildEvent } from "../options.ts";
import { walkTree, type FoundFile } from "../layer/walk.ts";

export interface DebianBase {
  readonly layer: Descriptor;
  readonly architecture: string;
  /** `name=version sha256`, sorted: what the layer was made of. */
  readonly packages: readonly string[];
  readonly cached: boolean;
}

export interface DebianBaseOptions {
  readonly store: Store;
  readonly cache: BuildCache;
  readonly cacheDir: string;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
  readonly refresh: boolean;
}

const timeoutMs = 10 * 60_000;

/**
 * One layer of Debian packages and what they depend on, extracted without running their maintainer scripts. The layer
 * stays the same for a suite and packages until `refresh` asks for the newest.
 *
 * @throws {OperatorError} `BUILD_FAILED` with apt's words when a package cannot be had, `MACHINE_LACKS` without mmdebstrap
 */
export async function debianBase(
  suite: string,
  packages: readonly string[],
  options: DebianBaseOptions,
): Promise<DebianBase> {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const key = { version: 1, suite, architecture, packages: [...packages].sort() };
  if (!options.refresh) {
    const known = (await options.cache.read("debian", key)) as
      | { digest: string; size: number; packages: string[] }
      | undefined;
    if (known !== undefined && isDigest(known.digest) && (await options.store.stat(known.digest)) === known.size) {
      return {
        layer: { mediaType: mediaTypes.layer, digest: known.digest, size: known.size },
        architecture,
        packages: known.packages,
        cached: true,
      };
    }
  }
  options.report({ kind: "note", text: `fetching Debian ${suite} packages: ${packages.join(", ")}` });
  const sources = await debianSources(suite, options.signal);
  const parent = join(options.cacheDir, "roots");
  await mkdir(parent, { recursive: true });
  await removeAbandoned(parent);
  const work = await mkdtemp(join(parent, `${process.pid}-`));
  try {
    const root = join(work, "root");
    await mkdir(root, { mode: 0o755 });
    mergeUsr(root, architecture);
    await extract(root, work, suite, packages, sources, architecture, options.signal);
    const found = await readPackages(join(root, "var/cache/apt/archives"), options.signal);
    finishRoot(root, suite, found);
    const layer = await writeLayer(options.store, rootSources(root), options.signal);
    const names = found.map((item) => `${item.name}=${item.version} ${item.sha256}`);
    await options.cache.write("debian", key, { digest: layer.digest, size: layer.size, packages: names });
    options.report({ kind: "note", text: `${found.length} packages, ${Math.round(layer.size / 1e6)} MB` });
    return { layer, architecture, packages: names, cached: false };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function extract(
  root: string,
  work: string,
  suite: string,
  packages: readonly string[],
  sources: readonly string[],
  architecture: string,
  signal: AbortSignal,
): Promise<void> {
  const { status, stderr } = await runCommand(
    "mmdebstrap",
    [
      "--mode=root",
      "--variant=extract",
      "--format=directory",
      `--architectures=${architecture}`,
      `--include=${packages.join(",")}`,
      // The archives are read afterwards for the record, and nothing needs to run inside.
      "--skip=chroot/mount",
      "--skip=cleanup/apt",
      "--skip=check/empty",
      '--aptopt=APT::Install-Recommends "false"',
      '--aptopt=Acquire::Retries "3"',
      suite,
      root,
      ...sources,
    ],
    { signal, timeoutMs, cwd: work, env: { TMPDIR: work, SOURCE_DATE_EPOCH: "0", TZ: "UTC" } },
  );
  if (status === 0) return;
  const lines = stderr.split("\n").filter((line) => /^(E|W|Err|error)[: ]/.test(line.trim()));
  throw new OperatorError(
    "BUILD_FAILED",
    `Cannot fetch Debian ${suite} packages ${packages.join(", ")}: mmdebstrap ended with status ${status}`,
    {
      hint: "check the packages' names (apt-cache search) and that the Debian archive can be reached",
      cause: (lines.length > 0 ? lines : stderr.trim().split("\n")).slice(-6).join("\n"),
    },
  );
}

async function readPackages(archives: string, signal: AbortSignal): Promise<readonly DebianPackage[]> {
  const files = (await readdir(archives)).filter((name) => name.endsWith(".deb")).map((name) => join(archives, name));
  const found: DebianPackage[] = [];
  const worker = async (): Promise<void> => {
    for (let file = files.pop(); file !== undefined; file = files.pop()) found.push(await readPackage(file, signal));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function readPackage(file: string, signal: AbortSignal): Promise<DebianPackage> {
  const { status, stdout, stderr } = await runCommand("dpkg-deb", ["--field", file], { signal, timeoutMs: 60_000 });
  const field = (name: string): string => new RegExp(`^${name}: *(.+)$`, "m").exec(stdout)?.[1] ?? "";
  if (status !== 0 || !/^[a-z0-9][a-z0-9+.-]+$/.test(field("Package")))
    throw new OperatorError("BUILD_FAILED", `Cannot read the package ${file}: dpkg-deb ended with status ${status}`, {
      hint: "run the build again",
      cause: stderr,
    });
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return { name: field("Package"), version: field("Version"), sha256: hash.digest("hex"), control: stdout };
}

/**
 * The root as members of a layer. Files keep the time their package gives them; folders and what was made here get
 * the time of the newest file of a package, so that nothing of the day of building shows.
 */
function rootSources(root: string): readonly TarSource[] {
  const found = walkTree(root, "", () => false);
  const made = new Set<BytePath>([
    "etc/passwd",
    "etc/group",
    "etc/nsswitch.conf",
    "etc/os-release",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/ssl/certs/ca-certificates.crt",
    "bin",
    "sbin",
    "lib",
    "lib64",
  ]);
  const isMade = (file: FoundFile): boolean =>
    file.kind === "directory" || made.has(file.path) || file.path.startsWith("var/lib/dpkg/");
  const newest = found.reduce((latest, file) => (isMade(file) ? latest : Math.max(latest, file.mtime)), 0);
  const firstNames = new Map<string, BytePath>();
  return found
    .filter((file) => file.path !== "")
    .sort(compareEntries)
    .map((file): TarSource => {
      const mode = file.kind === "symlink" ? 0o777 : file.kind === "directory" ? folderMode(file) : file.mode;
      const common = {
        path: file.path,
        mode,
        uid: file.uid,
        gid: file.gid,
        mtime: isMade(file) ? newest : file.mtime,
        target: file.target,
      };
      if (file.kind !== "file") return { entry: { ...common, kind: file.kind, size: 0 } };
      const first = file.inode === undefined ? undefined : firstNames.get(file.inode);
      if (first !== undefined) return { entry: { ...common, kind: "hardlink", size: 0, target: first } };
      if (file.inode !== undefined) firstNames.set(file.inode, file.path);
      return {
        entry: {
          ...common,
          kind: "file",
          size: file.size,
          ...(made.has(file.path) || file.path.startsWith("var/lib/dpkg/") ? { mode: 0o644 } : {}),
        },
        content: () => readPieces(file),
      };
    });
}

/** Folders made here carry this process's umask: only the modes that mean something are kept. */
function folderMode(file: FoundFile): number {
  if (file.path === "tmp" || file.path === "var/tmp") return 0o1777;
  if (file.path === "root" || file.path === "home/nonroot") return 0o755;
  return file.mode | 0o755;
}

async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(name.split("-")[0]);
    if (Number.isInteger(pid) && isAlive(pid)) continue;
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
