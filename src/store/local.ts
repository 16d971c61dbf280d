import { createHash, randomBytes } from "node:crypto";
import { constants, existsSync, statfsSync } from "node:fs";
import { open, mkdir, readdir, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { diskTrouble } from "../errors/disk.ts";
import { diskError, OperatorError } from "../errors/operator-error.ts";
import { digestHex, isDigest, sha256, type Digest } from "../model/canonical.ts";
import type { Stage, Store } from "../ports/store.ts";
import { blobMissing, bytesLie, checkTagName, tooLarge, type Expected } from "./refusals.ts";

const defaultMaxBytes = 4 * 2 ** 20;

/** The local store with what only its keeper needs. */
export interface LocalStore extends Store {
  /** Every blob there is, and where; nothing was read of it. */
  blobs(): Promise<readonly { readonly digest: Digest; readonly path: string }[]>;
  /** Whether a blob is there, without waiting. */
  has(digest: Digest): boolean;
  /** Takes a blob away whose bytes are not its digest's: kept under `damaged/HEX`. @returns where */
  setAside(digest: Digest): Promise<string>;
  /** What nobody needs: files of dead writers, and damaged blobs that the store has whole again. */
  leftovers(): Promise<readonly string[]>;
}

/**
 * A store in a folder: `blobs/sha256/HEX`, `tags/NAME` (the digest as text), `tmp/PID-START-RANDOM` while writing.
 * Several processes may use it at once. What killed writers left in `tmp` is removed at the next write.
 */
export function createLocalStore(dir: string): LocalStore {
  const blobs = join(dir, "blobs", "sha256");
  const tagsDir = join(dir, "tags");
  const temporary = join(dir, "tmp");
  const pathOf = (digest: Digest): string => join(blobs, digestHex(digest));
  let prepared: Promise<string> | undefined;

  const prepare = (): Promise<string> => (prepared ??= prepareFolders([blobs, tagsDir, temporary], temporary));

  const sizeOf = async (digest: Digest): Promise<number | undefined> => {
    const found = await stat(pathOf(digest)).catch(ignoreMissing);
    return found?.size;
  };

  /** Writes a temporary file, then gives it its name; nothing remains when it fails. */
  const place = async <Result>(
    fill: (file: FileHandle) => Promise<{ target: string; result: Result }>,
    folder: string,
  ): Promise<Result> => {
    let path: string;
    let file: FileHandle;
    try {
      path = join(temporary, `${await prepare()}-${randomBytes(8).toString("hex")}`);
      file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    } catch (error) {
      prepared = undefined;
      throw refusedByDisk(error, dir) ?? error;
    }
    try {
      const { target, result } = await fill(file);
      await file.chmod(0o444);
      await file.sync();
      await file.close();
      await rename(path, target);
      await syncFolder(folder);
      return result;
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(path, { force: true });
      throw refusedByDisk(error, dir) ?? error;
    }
  };

  const damaged = join(dir, "damaged");

  const store: LocalStore = {
    stat: sizeOf,

    async blobs() {
      const names = (await readdir(blobs).catch(ignoreMissing)) ?? [];
      return names
        .map((name) => `sha256:${name}`)
        .filter(isDigest)
        .sort()
        .map((digest) => ({ digest, path: pathOf(digest) }));
    },

    has: (digest) => existsSync(pathOf(digest)),

    async setAside(digest) {
      const aside = join(damaged, digestHex(digest));
      await mkdir(damaged, { recursive: true, mode: 0o700 });
      await rename(pathOf(digest), aside);
      await syncFolder(damaged);
      await syncFolder(blobs);
      return aside;
    },

    async leftovers() {
      const replaced: string[] = [];
      for (const name of (await readdir(damaged).catch(ignoreMissing)) ?? []) {
        const digest = `sha256:${name}`;
        if (!isDigest(digest) || (await sizeOf(digest)) !== undefined) replaced.push(join(damaged, name));
      }
      return [...(await deadFiles(temporary)), ...replaced];
    },

    async read(digest, maxBytes = defaultMaxBytes) {
      const size = await sizeOf(digest);
      if (size === undefined) throw blobMissing(digest);
      if (size > maxBytes) throw tooLarge(digest, size, maxBytes);
      const bytes = await readFile(pathOf(digest));
      if (sha256(bytes) !== digest) throw bytesLie(digest, sha256(bytes));
      return bytes;
    },

    async path(digest) {
      if ((await sizeOf(digest)) === undefined) throw blobMissing(digest);
      return pathOf(digest);
    },

    async write(source, expected) {
      if (source instanceof Uint8Array) {
        const digest = sha256(source);
        checkExpected(expected, digest, source.byteLength);
        // Small enough to be read: one that was damaged meanwhile is written anew.
        const there = await readFile(pathOf(digest)).catch(() => undefined);
        if (there?.equals(source) === true) return { digest, size: source.byteLength };
      }
      return place(async (file) => {
        const { digest, size } =
          source instanceof Uint8Array
            ? await writeBytes(file, source)
            : await writeStream(file, source, expected?.size);
        checkExpected(expected, digest, size);
        return { target: pathOf(digest), result: { digest, size } };
      }, blobs);
    },

    async tag(name, digest) {
      checkTagName(name);
      if ((await sizeOf(digest)) === undefined) throw blobMissing(digest);
      await place(async (file) => {
        await file.writeFile(`${digest}\n`);
        return { target: join(tagsDir, encodeURIComponent(name)), result: undefined };
      }, tagsDir);
    },

    async resolve(name) {
      checkTagName(name);
      return readTag(join(tagsDir, encodeURIComponent(name)));
    },

    async tags() {
      const files = (await readdir(tagsDir).catch(ignoreMissing)) ?? [];
      const found = await Promise.all(
        files.map(async (file) => ({ name: decodeURIComponent(file), digest: await readTag(join(tagsDir, file)) })),
      );
      return found
        .flatMap(({ name, digest }) => (digest === undefined ? [] : [{ name, digest }]))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async stage() {
      const folder = join(temporary, `${await prepare()}-${randomBytes(8).toString("hex")}`);
      return stageOver(store, folder, blobs);
    },
  };
  return store;
}

/** @param folder where staged blobs are until they are published to the folder `blobs` */
function stageOver(store: Store, folder: string, blobs: string): Stage {
  const staged = createLocalStore(folder);
  const of = async (digest: Digest): Promise<Store> => ((await staged.stat(digest)) === undefined ? store : staged);
  const discard = (): Promise<void> => rm(folder, { recursive: true, force: true });
  return {
    stat: async (digest) => (await of(digest)).stat(digest),
    read: async (digest, maxBytes) => (await of(digest)).read(digest, maxBytes),
    path: async (digest) => (await of(digest)).path(digest),
    write: (source, expected) => staged.write(source, expected),
    async publish(digests) {
      for (const digest of new Set(digests)) {
        const from = await of(digest);
        const path = await from.path(digest);
        if (from === staged) await rename(path, join(blobs, digestHex(digest)));
      }
      await syncFolder(blobs);
      await discard();
    },
    discard,
  };
}

async function readTag(path: string): Promise<Digest | undefined> {
  const text = (await readFile(path, "utf8").catch(ignoreMissing))?.trim();
  if (text === undefined) return undefined;
  if (isDigest(text)) return text;
  throw new OperatorError("VERIFICATION_FAILED", `Cannot read the tag in ${path}: it holds no digest`, {
    hint: "remove the file and tag the image again",
  });
}

async function writeBytes(file: FileHandle, bytes: Uint8Array): Promise<{ digest: Digest; size: number }> {
  await file.writeFile(bytes);
  return { digest: sha256(bytes), size: bytes.byteLength };
}

async function writeStream(
  file: FileHandle,
  source: Readable,
  most: number | undefined,
): Promise<{ digest: Digest; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const piece of source as AsyncIterable<Buffer>) {
    size += piece.byteLength;
    if (most !== undefined && size > most) break;
    hash.update(piece);
    for (let at = 0; at < piece.byteLength;) at += (await file.write(piece, at)).bytesWritten;
  }
  return { digest: `sha256:${hash.digest("hex")}` as Digest, size };
}

function checkExpected(expected: Expected | undefined, digest: Digest, size: number): void {
  if (expected === undefined) return;
  if (expected.digest !== digest || (expected.size !== undefined && expected.size !== size))
    throw bytesLie(expected.digest, digest, expected.size, size);
}

/** Makes the folders, removes what dead writers left, and returns the prefix of this process's temporary files. */
async function prepareFolders(folders: readonly string[], temporary: string): Promise<string> {
  for (const folder of folders) await mkdir(folder, { recursive: true, mode: 0o755 });
  for (const path of await deadFiles(temporary)) await rm(path, { recursive: true, force: true });
  return `${process.pid}-${(await startOf("self")) ?? "0"}`;
}

/** Files whose writers live no more. */
async function deadFiles(temporary: string): Promise<readonly string[]> {
  const dead: string[] = [];
  for (const name of (await readdir(temporary).catch(ignoreMissing)) ?? []) {
    const [pid, start] = name.split("-");
    if (!/^[0-9]+$/.test(pid ?? "") || (await startOf(pid ?? "")) !== start) dead.push(join(temporary, name));
  }
  return dead;
}

/** Start time of a process in clock ticks since boot: with its id, it names one process and no later one. */
async function startOf(pid: string): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return line?.slice(line.lastIndexOf(")") + 2).split(" ")[19];
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}

function refusedByDisk(error: unknown, dir: string): OperatorError | undefined {
  const trouble = diskTrouble(error);
  if (trouble === undefined) return undefined;
  let free: number | undefined;
  try {
    const { bavail, bsize } = statfsSync(dir);
    free = bavail * bsize;
  } catch {
    // Not known, then.
  }
  return diskError(trouble, `write to the store in "${dir}"`, free, error);
}
