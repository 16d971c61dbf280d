import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { orDiskError } from "../linux/disk.ts";
import { syncFolder } from "../linux/files.ts";
import { hashFile } from "../linux/hash-file.ts";
import { takeLock } from "../linux/lock.ts";
import { digestHex } from "../model/canonical.ts";
import type { Ecosystem } from "../scan/advisory.ts";
import { createDataSet } from "./data-set.ts";
import {
  keptPath,
  listName,
  listVersion,
  readList,
  vulnerabilityFolder,
  type DataList,
  type ImportedData,
} from "./folder.ts";
import { readDataFile } from "./read-file.ts";
import { Unusable } from "./unusable.ts";

export interface ImportOptions {
  /** Earlier files on the same ecosystems stay in use beside it. */
  readonly add: boolean;
  /** Wall clock, ms since the epoch. */
  readonly nowMs: number;
  readonly signal: AbortSignal;
  /** Told how many entries were read, after each. */
  readonly onRead?: (entries: number) => void;
}

export interface ImportResult {
  readonly imported: ImportedData;
  /** The first of the problems, in words. */
  readonly problems: readonly string[];
  /** It was in use already, and nothing changed. */
  readonly isKnown: boolean;
}

const mostProblemsTold = 20;
/**
 * Imports a file of vulnerabilities: OSV as JSON, as lines of it or as a zip archive, or the JSON of Debian's security tracker.
 *
 * It takes the place of what earlier files told of the same ecosystems. All of it is on disk and in use when this resolves, or nothing is changed.
 *
 * @throws {OperatorError} `ARGUMENT_INVALID` when it is no such file, `NOT_FOUND`, `DISK_FULL`
 */
export async function importVulnerabilities(
  stateDir: string,
  path: string,
  { add, nowMs, signal, onRead = () => {} }: ImportOptions,
): Promise<ImportResult> {
  const folder = vulnerabilityFolder(stateDir);
  let entries = 0;
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
          entries += 1;
          onRead(entries);
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

async function writeList(folder: string, data: readonly ImportedData[]): Promise<void> {
  const path = join(folder, listName);
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ version: listVersion, data } satisfies DataList, null, 2)}\n`);
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
