import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { canonicalJson, digestHex, sha256, type Digest, type Json } from "../model/canonical.ts";
import type { Ecosystem } from "../scan/advisory.ts";
import type { Advisories } from "../scan/match.ts";
import { openDataSet } from "./data-set.ts";

/** What a file of vulnerabilities is. */
export type DataFormat = "osv" | "debian-tracker";

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
  readonly advisories: Advisories;
  close(): void;
}

/** What the list of data in use says; another version has other files. */
export interface DataList {
  readonly version: typeof listVersion;
  readonly data: readonly ImportedData[];
}

export const listVersion = 1;

/** The file that names the data in use. */
export const listName = "current.json";

/** The folder of what was imported, in a state folder. */
export function vulnerabilityFolder(stateDir: string): string {
  return join(stateDir, "vulnerabilities");
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
    digest: sha256(canonicalJson(data.map(({ digest, ecosystems }) => ({ digest, ecosystems })))),
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
    for (const each of data) verifyKept(folder, each);
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

function verifyKept(folder: string, { kept, digest }: ImportedData): void {
  const path = keptPath(folder, kept);
  const found = hashNow(path);
  if (found === kept) return;
  throw new OperatorError(
    "VERIFICATION_FAILED",
    `Cannot use the vulnerabilities in "${path}": ${found === undefined ? "the file is gone" : "its bytes are not what was imported"}`,
    { hint: `import the file ${digest} again: \`bronze scan --import FILE\`` },
  );
}

/** Of a command that waits for nothing else: without the thread that longer work is worth. @returns undefined without the file */
function hashNow(path: string): Digest | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const hash = createHash("sha256");
    const slice = Buffer.allocUnsafe(1 << 18);
    for (let read = readSync(fd, slice); read > 0; read = readSync(fd, slice)) hash.update(slice.subarray(0, read));
    return `sha256:${hash.digest("hex")}` as Digest;
  } finally {
    closeSync(fd);
  }
}

/** Data in use, as the folder lists it. @throws {OperatorError} `VERIFICATION_FAILED` */
export async function readList(folder: string): Promise<readonly ImportedData[]> {
  const path = join(folder, listName);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return [];
  let list: Partial<DataList> | null = null;
  try {
    list = JSON.parse(text) as Partial<DataList> | null;
  } catch {
    // Said below.
  }
  if (list?.version === listVersion && Array.isArray(list.data)) return list.data;
  throw new OperatorError("VERIFICATION_FAILED", `Cannot read "${path}": it is no list of this version`, {
    hint: "remove the file and import the data again",
  });
}

/** Where what is kept of a file lies. */
export function keptPath(folder: string, kept: Digest): string {
  return join(folder, digestHex(kept));
}
