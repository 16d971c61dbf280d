import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { canonicalJson, isDigest, sha256, type Digest, type Json } from "../model/canonical.ts";
import { underLock } from "./file-lock.ts";

/** What an image's name meant when it was pinned. */
export interface BasePin {
  /** The index, where the name had one for several platforms. */
  readonly index: Digest | null;
  /** Manifests by platform: `linux/amd64`. */
  readonly platforms: { readonly [platform: string]: Digest };
}

/** `bronze.lock`: what builds of a folder take from outside, by digest. It belongs into version control. */
export interface LockFile {
  /** By full name: `docker.io/library/node:22`. */
  readonly bases: { readonly [name: string]: BasePin };
  /** What Debian recipes pin; `src/build/debian` knows what is in it. */
  readonly debian: { readonly [name: string]: Json };
}

export const lockFileName = "bronze.lock";
const emptyLock: LockFile = { bases: {}, debian: {} };
const mostBytes = 16 * 2 ** 20;
const mostBases = 1000;
const temporaryName = /^\.bronze\.lock\.[0-9]+\.[0-9a-f]{8}$/;

/**
 * The lock of a project folder; empty where there is none.
 *
 * @throws {OperatorError} `DEFINITION_INVALID` naming what is wrong in it
 */
export async function readLock(projectDir: string): Promise<LockFile> {
  const bytes = await readBytes(join(projectDir, lockFileName));
  return bytes === undefined ? emptyLock : parseLock(bytes.toString("utf8"));
}

/**
 * Changes the lock of a project folder, so that a crash leaves the old or the new one and builds at the same time lose
 * nothing of each other: `change` gets what the file says at that moment. Nothing is written where nothing changes.
 *
 * @returns the lock as it is now
 * @throws {OperatorError} `DEFINITION_INVALID`, `LOCKED`, `INTERRUPTED`
 */
export function changeLock(
  projectDir: string,
  signal: AbortSignal,
  change: (lock: LockFile) => LockFile,
): Promise<LockFile> {
  return underLock(projectDir, signal, async () => {
    const path = join(projectDir, lockFileName);
    // Whoever wrote these was killed: nobody else writes while the lock is held.
    for (const name of await readdir(projectDir))
      if (temporaryName.test(name)) await rm(join(projectDir, name), { force: true });
    const old = await readLock(projectDir);
    const lock = change(old);
    const text = serialiseLock(lock);
    if (text !== serialiseLock(old)) await writeLock(path, projectDir, text);
    return lock;
  });
}

/** The digest of what a build used of its lock: equal pins, equal digest, whatever else the file holds. */
export function digestOfUsed(used: { readonly bases: Json } | { readonly debian: Json }): Digest {
  return sha256(canonicalJson(used));
}

/** The one serialiser: sorted keys, two spaces, a newline at the end. */
export function serialiseLock(lock: LockFile): string {
  const bases = Object.entries(lock.bases).map(([name, { index, platforms }]) => [
    name,
    { ...(index === null ? {} : { index }), platforms },
  ]);
  const value: Json = {
    version: 1,
    bases: Object.fromEntries(bases) as Json,
    ...(Object.keys(lock.debian).length === 0 ? {} : { debian: lock.debian }),
  };
  return `${JSON.stringify(JSON.parse(canonicalJson(value)), null, 2)}\n`;
}

/** @throws {OperatorError} `DEFINITION_INVALID` */
export function parseLock(text: string): LockFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const conflict = /^(<{7}|>{7})/m.test(text) ? "it holds a merge conflict" : "it is no JSON";
    throw unreadable(conflict, cause);
  }
  const fields = objectAt(value, "it");
  const { version, bases = {}, debian = {}, ...more } = fields;
  if (version !== 1)
    throw unreadable(`its version is ${JSON.stringify(version)?.slice(0, 40) ?? "missing"}, this Bronze knows 1`);
  const [unknown] = Object.keys(more);
  if (unknown !== undefined) throw unreadable(`it has "${unknown.slice(0, 80)}", which is not known`);
  const entries = Object.entries(objectAt(bases, "bases"));
  if (entries.length > mostBases) throw unreadable(`it pins ${entries.length} bases, at most ${mostBases} are taken`);
  return {
    bases: Object.fromEntries(entries.map(([name, pin]) => [name, parsePin(pin, `bases["${name.slice(0, 200)}"]`)])),
    debian: objectAt(debian, "debian") as { readonly [name: string]: Json },
  };
}

function parsePin(value: unknown, place: string): BasePin {
  const { index = null, platforms, ...more } = objectAt(value, place);
  const [unknown] = Object.keys(more);
  if (unknown !== undefined) throw unreadable(`${place} has "${unknown.slice(0, 80)}", which is not known`);
  if (index !== null && (typeof index !== "string" || !isDigest(index)))
    throw unreadable(`${place}.index is no sha256 digest`);
  const found = Object.entries(objectAt(platforms, `${place}.platforms`));
  if (found.length === 0 || found.length > 100) throw unreadable(`${place}.platforms names ${found.length} platforms`);
  for (const [platform, digest] of found)
    if (typeof digest !== "string" || !isDigest(digest))
      throw unreadable(`${place}.platforms["${platform.slice(0, 80)}"] is no sha256 digest`);
  return { index, platforms: Object.fromEntries(found) as BasePin["platforms"] };
}

function objectAt(value: unknown, place: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw unreadable(`${place} is no object`);
}

function unreadable(state: string, cause?: unknown): OperatorError {
  return new OperatorError("DEFINITION_INVALID", `Cannot read "${lockFileName}": ${state}`, {
    hint: "take it from version control again; without the file, the next build pins what is newest then",
    cause,
  });
}

async function readBytes(path: string): Promise<Buffer | undefined> {
  let file;
  try {
    // Without waiting for the other end of a pipe.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unreadable("the machine does not let it be read", cause);
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw unreadable("it is no regular file");
    if (stats.size > mostBytes) throw unreadable(`it has ${stats.size} bytes, at most ${mostBytes} are read`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function writeLock(path: string, folder: string, text: string): Promise<void> {
  // Builds run as root; the file belongs to whoever the project belongs to.
  const before = await stat(path).catch(() => undefined);
  const { uid, gid } = before ?? (await stat(folder));
  const temporary = join(folder, `.${lockFileName}.${process.pid}.${randomBytes(4).toString("hex")}`);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      if (process.getuid?.() === 0) await file.chown(uid, gid);
      await file.chmod((before?.mode ?? 0o644) & 0o777);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
