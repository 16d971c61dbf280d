import { readFile } from "node:fs/promises";
import { runCommand } from "../command.ts";
import type { ArchiveName } from "./pins.ts";

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

const columns = ["REPO_URI", "RELEASE", "CODENAME", "COMPONENT", "ORIGIN", "SOURCESENTRY"] as const;

/** A source that apt of this machine is configured with. */
export interface ConfiguredSource {
  readonly uri: string;
  readonly release: string;
  readonly codename: string;
  readonly component: string;
  /** What its Release file calls itself; "" where apt has not fetched it yet. */
  readonly origin: string;
  /** File and number of the entry. */
  readonly entry: string;
}

/**
 * The archives of a suite: its packages, updates and security fixes, of which one left out would be fixes missed. The
 * mirrors are those this machine's apt is configured with, where it has the suite, else Debian's own.
 */
export async function findArchives(suite: string, signal: AbortSignal): Promise<readonly Archive[]> {
  const { status, stdout } = await runCommand(
    "apt-get",
    ["indextargets", "--format", columns.map((name) => `$(${name})`).join("\t"), "Created-By: Packages"],
    { signal, timeoutMs: 30_000 },
  );
  const rows = status === 0 ? stdout.split("\n").flatMap(parseRow) : [];
  return await Promise.all(
    chooseArchives(suite, rows).map(async ({ archive, entry }) => ({
      ...archive,
      keyring: entry === undefined ? debianKeyring : await keyringOf(entry),
    })),
  );
}

/** What of an archive is decided without looking at files; `entry` tells where its keys are named. */
export interface ChosenArchive {
  readonly archive: Omit<Archive, "keyring">;
  readonly entry: string | undefined;
}

const suiteName = /^(bullseye|bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)(-updates|-security)?$/;

/**
 * Picks an archive's mirrors: where the machine has the release, else where it has another one of the same archive.
 * Sources of others than Debian that use a suite's name do not count.
 */
export function chooseArchives(suite: string, rows: readonly ConfiguredSource[]): readonly ChosenArchive[] {
  const usable = rows.filter(
    (row) =>
      row.component === "main" &&
      (row.origin === "" || row.origin === "Debian") &&
      suiteName.test(row.release) &&
      /^(https?|file|copy):\/+[^\s\]]+\/$/.test(row.uri),
  );
  const choose = (release: string): ChosenArchive => {
    const name = archiveOf(release);
    const row =
      usable.find((item) => item.release === release || item.codename === release) ??
      usable.find((item) => archiveOf(item.release) === name);
    return { archive: { name, release, uri: row?.uri ?? `http://deb.debian.org/${name}/` }, entry: row?.entry };
  };
  // Unstable gets its fixes as new versions.
  return (suite === "sid" ? [suite] : [suite, `${suite}-updates`, `${suite}-security`]).map(choose);
}

function archiveOf(release: string): ArchiveName {
  return release.endsWith("-security") ? "debian-security" : "debian";
}

function parseRow(line: string): readonly ConfiguredSource[] {
  const [uri, release, codename, component, origin, entry] = line.split("\t");
  if (uri === undefined || release === undefined || codename === undefined) return [];
  if (component === undefined || origin === undefined || entry === undefined) return [];
  return [{ uri, release, codename, component, origin, entry }];
}

async function keyringOf(entry: string): Promise<string> {
  const [, path, number] = /^(.+):([0-9]+)$/.exec(entry) ?? [];
  if (path === undefined) return debianKeyring;
  const text = await readFile(path, "utf8").catch(() => "");
  return signedBy(path, text, Number(number)) ?? debianKeyring;
}

/**
 * The keyring that an entry of apt's sources names.
 *
 * @param number of the line in a `.list`, of the stanza in a `.sources`, from 1
 * @returns undefined where it names none, or gives fingerprints or a key itself
 * @see sources.list(5), "Signed-By"
 */
export function signedBy(path: string, text: string, number: number): string | undefined {
  if (path.endsWith(".sources")) {
    const stanzas = text
      .replaceAll(/^#.*\n/gm, "")
      .split(/\n[ \t]*\n/)
      .filter((stanza) => stanza.trim() !== "");
    return /^Signed-By:[ \t]*(\/\S+)[ \t]*$/im.exec(stanzas[number - 1] ?? "")?.[1];
  }
  return /^\s*deb\s+\[[^\]]*\bsigned-by=(\/[^\s,\]]+)[^\]]*\]/.exec(text.split("\n")[number - 1] ?? "")?.[1];
}
