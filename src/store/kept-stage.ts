import { createHash } from "node:crypto";
import { createReadStream, linkSync, utimesSync } from "node:fs";
import { copyFile, link, open, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { OperatorError } from "../errors/operator-error.ts";
import { digestHex, type Digest } from "../model/canonical.ts";
import type { Blobs, Stage } from "../ports/store.ts";
import { createBlobFolder, type BlobFolder } from "./blob-folder.ts";
import { refusedByDisk, syncFolder } from "./durable.ts";

/** The error for a kept blob whose bytes were others; it is gone, and can be made anew. */
export function isDamagedBlob(error: unknown): boolean {
  if (!(error instanceof OperatorError) || error.code !== "VERIFICATION_FAILED") return false;
  return typeof error.details === "object" && error.details !== null && "damagedBlob" in error.details;
}

/**
 * A stage whose folder outlives it: blobs that were not published are found there by the next one. They are not forced to
 * disk, so one that this process did not write itself is hashed before it is first used; when its bytes are others it is
 * removed and told with an error of `isDamagedBlob`. The time of each file is when it was last asked for.
 */
export function createKeptStage(store: BlobFolder, dir: string): Stage {
  const kept = createBlobFolder(dir, { durable: false });
  const checked = new Map<Digest, Promise<void>>();

  /** Throws unless the kept blob's bytes are right. */
  const check = (digest: Digest): Promise<void> => {
    const known = checked.get(digest);
    if (known !== undefined) return known;
    const checking = verify(kept.pathOf(digest), digest);
    checked.set(digest, checking);
    checking.catch(() => checked.delete(digest));
    return checking;
  };
  const isStored = async (digest: Digest): Promise<boolean> => (await store.stat(digest)) !== undefined;

  const stage: Blobs = {
    async stat(digest) {
      const stored = await store.stat(digest);
      if (stored !== undefined) return stored;
      const size = await kept.stat(digest);
      if (size !== undefined) markUsed(kept.pathOf(digest));
      return size;
    },
    read: async (digest, maxBytes) => ((await isStored(digest)) ? store : kept).read(digest, maxBytes),
    async path(digest) {
      if (await isStored(digest)) return store.path(digest);
      const path = await kept.path(digest);
      await check(digest);
      return path;
    },
    async write(source, expected) {
      const written = await kept.write(source, expected);
      checked.set(written.digest, Promise.resolve());
      return written;
    },
  };
  return {
    ...stage,
    async publish(digests) {
      const wanted = [...new Set(digests)];
      const missing = (
        await Promise.all(wanted.map(async (digest) => ((await isStored(digest)) ? [] : [digest])))
      ).flat();
      // All damaged ones are found at once.
      const paths = await Promise.allSettled(missing.map((digest) => stage.path(digest)));
      const refused = paths.find((path) => path.status === "rejected");
      if (refused !== undefined) throw refused.reason;
      if (missing.length === 0) return;
      await Promise.all(missing.map((digest) => syncFile(kept.pathOf(digest)))).catch((error: unknown) => {
        throw refusedByDisk(error, dir, "build cache") ?? error;
      });
      // In order: what names others comes after them.
      for (const digest of missing) await adopt(kept.pathOf(digest), store, digest);
      await syncFolder(store.folder);
    },
    discard: async () => undefined,
  };
}

/** Gives a file that is whole and on disk its name in the store as well; that lasts once the folder is synced. */
async function adopt(path: string, store: BlobFolder, digest: Digest): Promise<void> {
  const target = store.pathOf(digest);
  // Makes the store's folders.
  const copy = await store.temporary();
  try {
    // A thread would take longer to wake: a build adopts a dozen.
    linkSync(path, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "EXDEV" && code !== "EMLINK" && code !== "EPERM") throw refusedByDisk(error, store.folder) ?? error;
    try {
      await copyFile(path, copy);
      await syncFile(copy);
      await link(copy, target).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code !== "EEXIST") throw cause;
      });
    } catch (cause) {
      throw refusedByDisk(cause, store.folder) ?? cause;
    } finally {
      await rm(copy, { force: true });
    }
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function verify(path: string, digest: Digest): Promise<void> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  if (hash.digest("hex") === digestHex(digest)) return;
  await rm(path, { force: true });
  throw new OperatorError("VERIFICATION_FAILED", `Cannot use ${digest} of the build cache: its bytes are others`, {
    hint: "it was removed; build again, and it is made anew",
    details: { damagedBlob: digest },
  });
}

function markUsed(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // One that was evicted meanwhile is noticed where it is read.
  }
}
