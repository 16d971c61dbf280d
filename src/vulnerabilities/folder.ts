import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { orDiskError } from "../linux/disk.ts";
import { syncFolder } from "../linux/files.ts";
import { hashFile } from "../linux/hash-file.ts";
import { takeLock } from "../linux/lock.ts";
import { canonicalJson, digestHex, sha256, type Digest, type Json } from "../model/canonical.ts";
import type { Advisory, Ecosystem } from "../scan/advisory.ts";
import { createDataSet, openDataSet } from "./data-set.ts";
import { readDataFile, type DataFormat } from "./read-file.ts";
import { Unusable } from "./unusable.ts";

/** One imported file, as far as it is in use. */
export interface ImportedData {
  /** Of the file, as it was imported. */
  readonly digest: Digest;
  readonly format: DataFormat;
  /** Newest change that it tells of, else when the file was written; ISO 8601, never later than its import. */
  readonly lastUpdate: string;
  readonly importedAt: string;
  /** What it tells of and nothing imported later does. */
  readonly ecosystems: readonly Ecosystem[];
  /** Vulnerabilities in packages of these. */
  readonly records: number;
  /** Entries, or parts of them, that no sense could be made of. */
  readonly problems: number;
  /** Digest of what is kept of it. */
  readonly kept: Digest;
}

/** All data that scans go by. */
export interface VulnerabilityData {
  readonly data: readonly ImportedData[];
  /** Names all of it; equal for equal data. */
  readonly digest: Digest;
  readonly lastUpdate: string;
  advisories(ecosystem: Ecosystem, name: string): readonly Advisory[];
  close(): void;
}

export interface ImportResult {
  readonly imported: ImportedData;
  /** The first of the problems, in words. */
  readonly problems: readonly string[];
  /** It was in use already, and nothing changed. */
  readonly isKnown: boolean;
}

const mostProblemsTold = 20;
const listName = "current.json";

/** The folder of what was imported, in a state folder. */
export function vulnerabilityFolder(stateDir: string): string {
  return join(stateDir, "vulnerabilities");
}

/**
 * Imports a file of vulnerabilities: OSV as JSON, as lines of it or as a zip archive, or the JSON of Debian's security tracker.
 *
 * It takes the place of what earlier files told of the same ecosystems. All of it is on disk and in use when this resolves, or nothing is changed.
 *
 * @param add earlier files stay in use beside it
 * @throws {OperatorError} `ARGUMENT_INVALID` when it is no such file, `NOT_FOUND`, `DISK_FULL`
 */
export async function importVulnerabilities(
  stateDir: string,
  path: string,
  { add, nowMs, signal }: { readonly add: boolean; readonly nowMs: number; readonly signal: AbortSignal },
): Promise<ImportResult> {
  const folder = vulnerabilityFolder(stateDir);
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw orDiskError(error, `make "${folder}"`, stateDir);
  });
  const lock = await takeLock(folder, "exclusive", { wait: true, signal });
  try {
    const before = await readList(folder);
    await sweep(folder, before);
    const unfinished = join(folder, `unfinished-${process.pid}`);
    const writer = createDataSet(unfinished, folder);
    try {
      const problems: string[] = [];
      let problemCount = 0;
      let newest = "";
      const latest = new Date(nowMs).toISOString();
      const file = await readDataFile(
        path,
        (reading) => {
          for (const record of reading.records) writer.add(record);
          problemCount += reading.problems.length;
          problems.push(...reading.problems.slice(0, mostProblemsTold - problems.length));
          // A time to come is nobody's knowledge.
          if (reading.modified !== null && reading.modified > newest && reading.modified <= latest)
            newest = reading.modified;
        },
        signal,
      );
      const counted = writer.finish();
      if (counted.size === 0)
        throw new Unusable(
          `no package of npm, PyPI, Go or Debian is in it${problems[0] === undefined ? "" : ` (${problems[0]})`}`,
        );
      const { digest: kept } = await hashFile(unfinished);
      const imported: ImportedData = {
        digest: file.digest,
        format: file.format,
        lastUpdate: newest || new Date(Math.min(nowMs, file.modifiedMs)).toISOString(),
        importedAt: latest,
        ecosystems: [...counted.keys()].sort(),
        records: [...counted.values()].reduce((sum, records) => sum + records, 0),
        problems: problemCount,
        kept,
      };
      if (before.some(({ digest, ecosystems }) => digest === file.digest && isEqual(ecosystems, imported.ecosystems)))
        return { imported, problems, isKnown: true };
      await rename(unfinished, keptPath(folder, kept));
      const now = [...before.flatMap((data) => withdrawn(data, imported, add)), imported];
      await writeList(folder, now);
      await sweep(folder, now);
      return { imported, problems, isKnown: false };
    } finally {
      writer.discard();
    }
  } catch (error) {
    throw refused(error, path, folder);
  } finally {
    await lock?.release();
  }
}

/** What stays in use of earlier data. */
function withdrawn(earlier: ImportedData, later: ImportedData, add: boolean): readonly ImportedData[] {
  if (earlier.digest === later.digest) return [];
  const ecosystems = add
    ? earlier.ecosystems
    : earlier.ecosystems.filter((ecosystem) => !isToldBy(later, earlier, ecosystem));
  return ecosystems.length === 0 ? [] : [{ ...earlier, ecosystems }];
}

/** Debian's own file and OSV's of Debian are two views of the same, and stay beside each other. */
function isToldBy(later: ImportedData, earlier: ImportedData, ecosystem: Ecosystem): boolean {
  return later.format === earlier.format && later.ecosystems.includes(ecosystem);
}

/**
 * Opens all data in use, each file of it hashed first.
 *
 * @returns undefined: nothing was imported
 * @throws {OperatorError} `VERIFICATION_FAILED` when what is kept was altered
 */
export async function openVulnerabilities(stateDir: string): Promise<VulnerabilityData | undefined> {
  const folder = vulnerabilityFolder(stateDir);
  const data = await verifiedList(folder);
  if (data.length === 0) return undefined;
  // What Debian itself says comes first.
  const sets = [...data]
    .sort((a, b) => rank(a) - rank(b))
    .map((each) => ({ each, set: openDataSet(keptPath(folder, each.kept)) }));
  return {
    data,
    digest: sha256(canonicalJson(data.map(({ digest, ecosystems }) => ({ digest, ecosystems })) as unknown as Json)),
    lastUpdate: data.map(({ lastUpdate }) => lastUpdate).reduce((a, b) => (a > b ? a : b)),
    advisories: (ecosystem, name) =>
      sets.flatMap(({ each, set }) => (each.ecosystems.includes(ecosystem) ? set.advisories(ecosystem, name) : [])),
    close: () => {
      for (const { set } of sets) set.close();
    },
  };
}

async function verifiedList(folder: string): Promise<readonly ImportedData[]> {
  const data = await readList(folder);
  try {
    await Promise.all(data.map((each) => verifyKept(folder, each)));
    return data;
  } catch (error) {
    // An import may have taken it away meanwhile, with the list that named it.
    if (canonicalJson((await readList(folder)) as unknown as Json) !== canonicalJson(data as unknown as Json))
      return verifiedList(folder);
    throw error;
  }
}

function rank({ format }: ImportedData): number {
  return format === "debian-tracker" ? 0 : 1;
}

async function verifyKept(folder: string, { kept, digest }: ImportedData): Promise<void> {
  const path = keptPath(folder, kept);
  const found = await hashFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found?.digest === kept) return;
  throw new OperatorError(
    "VERIFICATION_FAILED",
    `Cannot use the vulnerabilities in "${path}": ${found === undefined ? "the file is gone" : "its bytes are not what was imported"}`,
    { hint: `import the file ${digest} again: \`bronze scan --import FILE\`` },
  );
}

async function readList(folder: string): Promise<readonly ImportedData[]> {
  const path = join(folder, listName);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return [];
  try {
    return (JSON.parse(text) as { readonly data: readonly ImportedData[] }).data;
  } catch (cause) {
    throw new OperatorError("VERIFICATION_FAILED", `Cannot read "${path}": it is no JSON`, {
      hint: "remove the file and import the data again",
      cause,
    });
  }
}

async function writeList(folder: string, data: readonly ImportedData[]): Promise<void> {
  const path = join(folder, listName);
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ data }, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(folder);
}

/** Removes what is no data in use: earlier data, and what a killed import left. */
async function sweep(folder: string, data: readonly ImportedData[]): Promise<void> {
  const used = new Set([listName, ...data.map(({ kept }) => digestHex(kept))]);
  for (const name of await readdir(folder)) if (!used.has(name)) await rm(join(folder, name), { force: true });
}

function keptPath(folder: string, kept: Digest): string {
  return join(folder, digestHex(kept));
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

function refused(error: unknown, path: string, folder: string): unknown {
  if (error instanceof Unusable) {
    return new OperatorError("ARGUMENT_INVALID", `Cannot import "${path}": ${error.message}`, {
      hint: "nothing was changed; take OSV's data as JSON, JSON lines or zip (https://google.github.io/osv.dev/data/), or Debian's (https://security-tracker.debian.org/tracker/data/json)",
    });
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "EISDIR") {
    return new OperatorError(code === "ENOENT" ? "NOT_FOUND" : "ARGUMENT_INVALID", `Cannot import "${path}"`, {
      hint: "give the path of a file",
      cause: error,
    });
  }
  return orDiskError(error, `keep the data in "${folder}"`, folder);
}
