import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { complaints, createPrivateApt, updateIndices, type PrivateApt } from "./apt.ts";
import type { Archive } from "./archives.ts";
import { byName, requestName, type DebianPins, type PackageRequest, type PinnedPackage } from "./pins.ts";
import { parseStanzas, sourceOf, type Stanza } from "./stanza.ts";

/**
 * What only maintainer scripts use. A root in which they never run does without, and without what these would bring: a
 * Perl, a shell, tools to make users. A recipe that names one gets it.
 */
const scriptTools = ["adduser", "debconf", "dpkg", "init-system-helpers", "install-info", "ucf", "update-inetd"];

export interface SolveOptions {
  /** An empty folder, for apt's files. */
  readonly dir: string;
  readonly archives: readonly Archive[];
  /** Earlier pins: their versions stay where the archive still has them. */
  readonly earlier: readonly PinnedPackage[];
  readonly signal: AbortSignal;
}

/**
 * Asks apt's own solver what a request needs, from indices whose signatures were verified.
 *
 * @throws {OperatorError} `BUILD_FAILED` with apt's words for packages that cannot be had, `VERIFICATION_FAILED` for indices
 * that are not what was signed
 */
export async function solve(request: PackageRequest, options: SolveOptions): Promise<DebianPins> {
  const { dir, archives, signal } = options;
  const stubs = request.full ? [] : scriptTools.filter((name) => !request.packages.includes(name));
  const apt = await createPrivateApt(dir, {
    archives,
    architecture: request.architecture,
    status: stubs.map(stubOf),
    preferred: options.earlier,
    signal,
  });
  await updateIndices(apt, archives);
  const published = await readReleases(join(dir, "lists"));
  const wanted = [...(request.full ? ["?essential", "?priority(^required$)", "apt"] : []), ...request.packages];
  if (wanted.length === 0) return { published, packages: [] };
  const { status, stdout, stderr } = await apt.run("apt-get", [
    "install",
    "--print-uris",
    "--yes",
    "--quiet=2",
    request.recommends ? "--install-recommends" : "--no-install-recommends",
    "--",
    ...wanted,
  ]);
  if (status !== 0)
    throw new OperatorError("BUILD_FAILED", `Cannot find Debian packages for ${requestName(request)}`, {
      hint: "check the packages' names and that they are in this suite (packages.debian.org), then build again",
      cause: complaints(`${stderr}\n${stdout}`),
    });
  const found = parseUris(stdout, archives);
  const stanzas = parseStanzas((await showPackages(apt, found)) ?? "");
  return { published, packages: found.map((item) => pinOf(item, stanzas)).sort(byName) };
}

function stubOf(name: string): string {
  const provides = name === "debconf" ? "Provides: debconf-2.0\n" : "";
  return `Package: ${name}\nStatus: install ok installed\nVersion: 999\nArchitecture: all\n${provides}Multi-Arch: foreign\nMaintainer: none\nDescription: not needed\n`;
}

/** A file that apt would fetch. */
export interface FoundFile {
  readonly archive: Archive;
  readonly path: string;
}

/** Reads what `apt-get --print-uris` prints: `'URI' NAME SIZE HASH`. @throws {OperatorError} `BUILD_FAILED` */
export function parseUris(stdout: string, archives: readonly Archive[]): readonly FoundFile[] {
  return stdout.split("\n").flatMap((line) => {
    const uri = /^'([^']+\.deb)' /.exec(line)?.[1];
    if (uri === undefined) return [];
    const archive = archives.find((item) => uri.startsWith(item.uri));
    if (archive === undefined) throw unexpected(`it wants ${basename(uri)} from a place that was not asked`);
    return { archive, path: decodeURIComponent(uri.slice(archive.uri.length)) };
  });
}

async function showPackages(apt: PrivateApt, found: readonly FoundFile[]): Promise<string> {
  const names = found.map(({ path }) => {
    const [name, version, architecture] = basename(path, ".deb").split("_");
    // Epochs are not part of file names in the pool: all versions are shown, the file's path tells the right one.
    if (name === undefined || version === undefined || architecture === undefined)
      throw unexpected(`"${path}" is no package's file`);
    return name;
  });
  const { status, stdout, stderr } = await apt.run("apt-cache", ["show", "--", ...new Set(names)]);
  if (status !== 0) throw unexpected(complaints(stderr));
  return stdout;
}

function pinOf({ archive, path }: FoundFile, stanzas: readonly Stanza[]): PinnedPackage {
  const stanza = stanzas.find((item) => item.get("filename") === path && item.has("sha256"));
  const name = stanza?.get("package");
  const version = stanza?.get("version");
  const sha256 = stanza?.get("sha256")?.toLowerCase();
  if (stanza === undefined || name === undefined || version === undefined || sha256 === undefined)
    throw unexpected(`the indices do not tell the sha256 of "${path}"`);
  return {
    name,
    version,
    architecture: stanza.get("architecture") ?? "all",
    archive: archive.name,
    path,
    sha256,
    sizeBytes: Number(stanza.get("size")),
    source: sourceOf(stanza),
  };
}

/** When the newest of the fetched Release files was published. @throws {OperatorError} `BUILD_FAILED` for another archive than Debian's */
async function readReleases(lists: string): Promise<string> {
  const times: number[] = [];
  for (const name of (await readdir(lists)).filter((file) => /_(In)?Release$/.test(file))) {
    const text = await readFile(join(lists, name), "utf8");
    const origin = /^Origin: (.+)$/m.exec(text)?.[1];
    if (origin !== "Debian")
      throw new OperatorError(
        "BUILD_FAILED",
        `Cannot take packages from the archive of "${origin ?? "nobody"}": it is not Debian's`,
        {
          hint: "name a mirror of Debian before it in /etc/apt/sources.list.d",
          cause: name.replaceAll("_", "/"),
        },
      );
    const time = Date.parse(/^Date: (.+)$/m.exec(text)?.[1] ?? "");
    if (!Number.isNaN(time)) times.push(time);
  }
  if (times.length === 0) throw unexpected("no Release file tells when it was published");
  return new Date(Math.max(...times)).toISOString().replace(/\.\d+Z$/, "Z");
}

function unexpected(state: string): OperatorError {
  return new OperatorError("BUILD_FAILED", `Cannot understand this machine's apt: ${state}`, {
    hint: "run the build again; `apt-get --version` should be 2.0 or newer",
  });
}
