import { open, readdir, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LogLine } from "../../model/api/asked.ts";
import {
  splitInstanceName,
  type AppName,
  type EnvironmentName,
  type InstanceName,
  type ProcessName,
  type SetName,
} from "../../model/names.ts";
import type { Places } from "../../model/places.ts";
import { joinPartial, parseLogLine, type LineJoiner, type RawLogLine } from "./log-lines.ts";
import { foldersOf } from "./record.ts";

/** Which lines are wanted. */
export interface LogQuery {
  readonly app?: AppName;
  readonly environment?: EnvironmentName;
  readonly set?: SetName;
  readonly instance?: InstanceName;
  readonly process?: ProcessName;
  /** Last lines to begin with, over all instances together; at most 100,000. */
  readonly lines: number;
  /** Goes on with what is written from then on, until `signal`. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

const mostLines = 100_000;
const pollMs = 100;
const keptFiles = 3;
const chunkBytes = 256 * 1024;

/** Lines of instances, also of removed ones whose logs are kept, in the order they were written. */
export async function* readLogs(places: Places, query: LogQuery): AsyncGenerator<LogLine, void, undefined> {
  const folder = foldersOf(places).logs;
  const most = Math.min(Math.max(0, query.lines), mostLines);
  const followers = new Map<InstanceName, Follower>();
  try {
    const begin: LogLine[] = [];
    for (const name of await wantedNames(folder, query)) {
      const follower = await openFollower(folder, name);
      if (follower === undefined) continue;
      const { size } = await follower.file.stat();
      begin.push(...(await tailLines(folder, name, size, most)));
      follower.offset = size;
      followers.set(name, follower);
    }
    yield* inOrder(begin).slice(most === 0 ? begin.length : -most);
    while (query.follow) {
      // What was written before the end of what is followed is read, however close it was.
      const isLast = query.signal.aborted;
      if (!isLast) await sleep(pollMs, undefined, { signal: query.signal }).catch(() => {});
      const news: LogLine[] = [];
      for (const name of await wantedNames(folder, query)) {
        const follower = followers.get(name) ?? (await openFollower(folder, name));
        if (follower === undefined) continue;
        followers.set(name, follower);
        news.push(...(await readOn(folder, follower)));
      }
      if (isLast) for (const { name, join } of followers.values()) news.push(...named(name, join.rest()));
      yield* inOrder(news);
      if (isLast) return;
    }
  } finally {
    for (const { file } of followers.values()) await file.close().catch(() => {});
  }
}

/** A log that is read on; `file` stays open over a rotation, so that the rest of the old file is not missed. */
interface Follower {
  readonly name: InstanceName;
  file: FileHandle;
  inode: number;
  offset: number;
  readonly join: LineJoiner;
}

async function openFollower(folder: string, name: InstanceName): Promise<Follower | undefined> {
  const file = await open(join(folder, `${name}.log`), "r").catch(() => undefined);
  if (file === undefined) return undefined;
  return { name, file, inode: (await file.stat()).ino, offset: 0, join: joinPartial() };
}

async function readOn(folder: string, follower: Follower): Promise<readonly LogLine[]> {
  const path = join(folder, `${follower.name}.log`);
  const lines: LogLine[] = [];
  for (;;) {
    // Looked at before reading: once a newer file is there, the supervisor writes no more to this one.
    const newer = await fileAfter(path, follower.inode);
    lines.push(...(await readToEnd(follower)));
    const next = newer === undefined ? undefined : await open(newer.path, "r").catch(() => undefined);
    if (next === undefined) return lines;
    // Rotated again meanwhile: the name is another file's now, so look again.
    if ((await next.stat()).ino !== newer?.inode) {
      await next.close();
      continue;
    }
    await follower.file.close();
    follower.file = next;
    follower.inode = newer.inode;
    follower.offset = 0;
  }
}

/** The file that was begun after the one with this inode; undefined while that is the newest. */
async function fileAfter(
  path: string,
  inode: number,
): Promise<{ readonly path: string; readonly inode: number } | undefined> {
  let newer: { readonly path: string; readonly inode: number } | undefined;
  for (const candidate of [path, ...Array.from({ length: keptFiles }, (_, index) => `${path}.${index + 1}`)]) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.ino === inode) return newer;
    if (found !== undefined) newer = { path: candidate, inode: found.ino };
  }
  return newer;
}

async function readToEnd(follower: Follower): Promise<LogLine[]> {
  const found: LogLine[] = [];
  const chunk = Buffer.alloc(chunkBytes);
  for (;;) {
    const { bytesRead } = await follower.file.read(chunk, 0, chunk.length, follower.offset);
    if (bytesRead === 0) return found;
    // A chunk may end within a character: what follows the last newline is read again.
    const end = chunk.subarray(0, bytesRead).lastIndexOf(10) + 1;
    if (end === 0 && bytesRead < chunk.length) return found;
    const used = end === 0 ? bytesRead : end;
    follower.offset += used;
    for (const line of chunk.toString("utf8", 0, used).split("\n"))
      found.push(...whole(follower.name, follower.join, line));
  }
}

function whole(name: InstanceName, join: LineJoiner, line: string): readonly LogLine[] {
  return named(name, join.push(parseLogLine(line)));
}

function named(name: InstanceName, lines: readonly RawLogLine[]): readonly LogLine[] {
  return lines.map(({ at, stream, text }) => ({ instance: name, at, stream, text }));
}

/** The last lines of one instance, from its rotated files too where the newest has fewer. */
async function tailLines(folder: string, name: InstanceName, size: number, most: number): Promise<readonly LogLine[]> {
  if (most === 0) return [];
  // A line may begin at the end of one file and go on in the next: files are joined before lines are.
  let raw = await tailOf(join(folder, `${name}.log`), size, most);
  for (let index = 1; index <= keptFiles && raw.length <= most; index += 1) {
    const path = join(folder, `${name}.log.${index}`);
    const older = await stat(path).catch(() => undefined);
    if (older === undefined) break;
    raw = [...(await tailOf(path, older.size, most)), ...raw];
  }
  const joiner = joinPartial();
  const lines = raw.flatMap((line) => whole(name, joiner, line));
  return [...lines, ...named(name, joiner.rest())].slice(-most);
}

async function tailOf(path: string, size: number, most: number): Promise<readonly string[]> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return [];
  try {
    for (let window = chunkBytes; ; window *= 4) {
      const start = Math.max(0, size - window);
      const bytes = Buffer.alloc(size - start);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
      const lines = bytes
        .toString("utf8", 0, bytesRead)
        .split("\n")
        .slice(start === 0 ? 0 : 1);
      const ends = lines.filter((line) => parseLogLine(line)?.partial === false).length;
      if (start === 0 || ends > most) return lines;
    }
  } finally {
    await file.close();
  }
}

async function wantedNames(folder: string, query: LogQuery): Promise<readonly InstanceName[]> {
  const files = await readdir(folder).catch(() => []);
  return files
    .filter((file) => file.endsWith(".log"))
    .map((file) => file.slice(0, -".log".length))
    .filter((name): name is InstanceName => {
      const parts = splitInstanceName(name);
      if (parts === undefined) return false;
      if (query.instance !== undefined && name !== query.instance) return false;
      if (query.process !== undefined && parts.process !== query.process) return false;
      if (query.set !== undefined && parts.set !== query.set) return false;
      return (
        (query.app === undefined || parts.app === query.app) &&
        (query.environment === undefined || parts.environment === query.environment)
      );
    })
    .sort();
}

function inOrder(lines: readonly LogLine[]): readonly LogLine[] {
  return lines.toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}
