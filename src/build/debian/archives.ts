import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readMachineApt } from "./machine-apt.ts";
import type { ArchiveName } from "./pins.ts";
import { parseSources, type ConfiguredSource } from "./sources.ts";

/** One index of packages, and where its files are. */
export interface Archive {
  readonly name: ArchiveName;
  /** `bookworm-security`. */
  readonly release: string;
  /** Ends in "/". */
  readonly uri: string;
  /** File of the keys that may sign it. */
  readonly keyring: string;
}

/** The keys of Debian's archives, of the package debian-archive-keyring. */
export const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * The archives of a suite: its packages, updates and security fixes, of which one left out would be fixes missed. The
 * mirrors are those this machine's apt is configured with, else Debian's own.
 */
export async function findArchives(suite: string, signal: AbortSignal): Promise<readonly Archive[]> {
  const { sourceList, sourceParts } = await readMachineApt(signal);
  const names = (await readdir(sourceParts).catch((): string[] => [])).sort();
  const files = [
    sourceList,
    ...names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(sourceParts, name)),
  ];
  const sources: ConfiguredSource[] = [];
  for (const path of files) sources.push(...parseSources(path, await readFile(path, "utf8").catch(() => "")));
  return chooseArchives(suite, sources);
}

const suiteName = /^(bullseye|bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)(-updates|-security)?$/;
/** How Debian's mirrors are called, so that others' packages for a suite are not taken for one. */
const mirrorPath = /\/debian(-security)?\/(\d{8}T\d{6}Z\/)?$/;

/**
 * Picks an archive's mirrors: where the machine has the release, else where it has another one of the same archive.
 */
export function chooseArchives(suite: string, sources: readonly ConfiguredSource[]): readonly Archive[] {
  const usable = sources
    .filter(
      (item) =>
        item.components.includes("main") &&
        suiteName.test(item.release) &&
        /^(https?|file|copy):\/+\S+\/$/.test(item.uri),
    )
    .sort((a, b) => rank(a, sources) - rank(b, sources));
  const choose = (release: string): Archive => {
    const name = archiveOf(release);
    const found =
      usable.find((item) => item.release === release) ?? usable.find((item) => archiveOf(item.release) === name);
    return {
      name,
      release,
      uri: found?.uri ?? `http://deb.debian.org/${name}/`,
      keyring: found?.keyring ?? debianKeyring,
    };
  };
  // Unstable gets its fixes as new versions.
  return (suite === "sid" ? [suite] : [suite, `${suite}-updates`, `${suite}-security`]).map(choose);
}

/** Mirrors by their name first, then those that have updates too, which others than Debian hardly ever do. */
function rank(source: ConfiguredSource, all: readonly ConfiguredSource[]): number {
  if (mirrorPath.test(source.uri)) return 0;
  const hasUpdates = all.some(({ uri, release }) => uri === source.uri && release.endsWith("-updates"));
  return hasUpdates || source.release.endsWith("-security") ? 1 : 2;
}

function archiveOf(release: string): ArchiveName {
  return release.endsWith("-security") ? "debian-security" : "debian";
}
