import { createHash } from "node:crypto";
import { closeSync, createReadStream, fstatSync, openSync, readSync } from "node:fs";
import type { Digest } from "../model/canonical.ts";
import type { Reading } from "../scan/advisory.ts";
import { readTrackerPackage } from "../scan/debian-tracker.ts";
import { JsonCutError, JsonCutter, type JsonShape } from "../scan/json-cutter.ts";
import { readOsv } from "../scan/osv.ts";
import type { DataFormat } from "./folder.ts";
import { Unusable } from "./unusable.ts";
import { zippedJson } from "./zip.ts";

export interface DataFile {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly format: DataFormat;
  /** When the file was written last, in ms since the epoch. */
  readonly modifiedMs: number;
}

const mostFileBytes = 16 * 2 ** 30;
/** The largest entry of OSV has some 2 MB, the largest source package of Debian's tracker (the kernel) some 20. */
const mostEntryBytes = 16 * 2 ** 20;
const mostPackageBytes = 128 * 2 ** 20;
const chunkBytes = 1 << 20;
const sniffedBytes = 1 << 16;

/**
 * Reads a file of vulnerabilities in one pass, an entry at a time: whatever its size, no more of it than its largest entry is held.
 *
 * @param take called with what each entry says, in the order of the file
 * @throws {Unusable} when it is none of the known formats, or its bytes are not what they should be
 */
export async function readDataFile(
  path: string,
  take: (reading: Reading) => void,
  signal: AbortSignal,
): Promise<DataFile> {
  const fd = openSync(path, "r");
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Unusable("it is no file");
    if (stat.size > mostFileBytes) throw new Unusable(`it has more than ${mostFileBytes} bytes`);
    const head = Buffer.alloc(sniffedBytes);
    const kind = sniff(head.subarray(0, readSync(fd, head, 0, head.length, 0)));
    const digest = kind === "zip" ? await readZip(fd, take, signal) : await readJson(fd, kind, take, signal);
    const after = fstatSync(fd);
    if (after.size !== stat.size || after.mtimeMs !== stat.mtimeMs)
      throw new Unusable("it was changed while it was read");
    return {
      digest,
      sizeBytes: stat.size,
      format: kind === "members" ? "debian-tracker" : "osv",
      modifiedMs: stat.mtimeMs,
    };
  } finally {
    closeSync(fd);
  }
}

/** By its first bytes. The members of Debian's file are objects; those of an entry of OSV begin with texts and lists. */
function sniff(head: Buffer): JsonShape | "zip" {
  if (["504b0304", "504b0506"].includes(head.toString("hex", 0, 4))) return "zip";
  const text = head.toString("latin1").replace(/^\u00ef\u00bb\u00bf/, "");
  if (/^\s*\[/.test(text)) return "array";
  const member = /^\s*\{\s*"([^"\\]{0,300})"\s*:\s*(\{)?/.exec(text);
  if (member === null) throw new Unusable("it is neither JSON nor a zip archive of it");
  const [, name = "", brace] = member;
  return brace !== undefined && name !== "database_specific" ? "members" : "sequence";
}

async function readZip(fd: number, take: (reading: Reading) => void, signal: AbortSignal): Promise<Digest> {
  for await (const json of zippedJson(fd, fstatSync(fd).size, mostEntryBytes)) {
    signal.throwIfAborted();
    take(readOsv(parse(json)));
  }
  return hashed(fd, () => signal.throwIfAborted());
}

async function readJson(
  fd: number,
  shape: JsonShape,
  take: (reading: Reading) => void,
  signal: AbortSignal,
): Promise<Digest> {
  const cutter = new JsonCutter(shape, shape === "members" ? mostPackageBytes : mostEntryBytes);
  let isFirst = true;
  try {
    const digest = await hashed(fd, (chunk) => {
      signal.throwIfAborted();
      const hasMark = isFirst && chunk.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
      isFirst = false;
      for (const { key, json } of cutter.push(hasMark ? chunk.subarray(3) : chunk))
        take(key === null ? readOsv(parse(json)) : readTrackerPackage(key, parse(json)));
    });
    cutter.end();
    return digest;
  } catch (error) {
    throw error instanceof JsonCutError ? new Unusable(error.message) : error;
  }
}

/** Undefined for what is no JSON, which is then an entry without an id. */
function parse(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}

async function hashed(fd: number, each: (chunk: Buffer) => void): Promise<Digest> {
  const hash = createHash("sha256");
  // Of the file that is open, whatever has its name by now.
  const stream = createReadStream("", { fd, autoClose: false, start: 0, highWaterMark: chunkBytes });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    each(chunk);
  }
  return `sha256:${hash.digest("hex")}` as Digest;
}
