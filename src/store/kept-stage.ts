import { createHash } from "node:crypto";
import { createReadStream, linkSync, utimesSync } from "node:fs";
import { copyFile, link, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { OperatorError } from "../errors/operator-error.ts";
import { digestHex, type Digest } from "../model/canonical.ts";
import type { Blobs, Stage } from "../ports/store.ts";
import { createBlobFolder, type BlobFolder } from "./blob-folder.ts";
import { refusedByDisk, syncFile, syncFolder } from "./durable.ts";

/** The error for a kept blob whose bytes were others; it is gone, and can be made anew. */
export function isDamagedBlob(error: unknown): boolean {
  if (!(error instanceof OperatorError) || error.code !== "VERIFICATION_FAILED") return false;
  return typeof error.details === "object" && error.details !== null && "damagedBlob" in error.details;
}

/** Lists manifests as what is said about their subjects, on disk when it resolves. Whoever reads the list passes over what is not there. */
export type ListReferrers = (manifests: readonly Uint8Array[]) => Promise<void>;

/**
 * A stage whose folder outlives it: blobs that were not published are found there by the next one. They are not forced to
 * disk, so one that this process did not write itself is hashed before it is first used; when its bytes are others it is
 * removed and told with an error of `isDamagedBlob`. The time of each file is when it was last asked for.
 */
export function createKeptStage(store: BlobFolder, dir: string, list: ListReferrers): Stage {
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
  /** What is on its way to the disk, or there; nobody changes it any more. */
  const syncing = new Map<Digest, Promise<void>>();
  const onDisk = (digest: Digest): Promise<void> => {
    const known = syncing.get(digest);
    if (known !== undefined) return known;
    const work = syncFile(kept.pathOf(digest));
    syncing.set(digest, work);
    // It may be made anew, and whoever waits for it hears of a failure.
    work.catch(() => syncing.delete(digest));
    return work;
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
      syncing.delete(written.digest);
      checked.set(written.digest, Promise.resolve());
      return written;
    },
  };
  return {
    ...stage,
    sync(digests) {
      for (const digest of new Set(digests)) {
        const begin = async (): Promise<void> => {
          if (!(await isStored(digest)) && (await kept.stat(digest)) !== undefined) await onDisk(digest);
        };
        begin().catch(() => undefined);
      }
    },
    async publish(digests, about = []) {
      const wanted = [...new Set(digests)];
      const missing = (
        await Promise.all(wanted.map(async (digest) => ((await isStored(digest)) ? [] : [digest])))
      ).flat();
      // All damaged ones are found at once.
      const paths = await Promise.allSettled(missing.map((digest) => stage.path(digest)));
      const refused = paths.find((path) => path.status === "rejected");
      if (refused !== undefined) throw refused.reason;
      if (missing.length === 0) return list(about);
      await Promise.all(missing.map(onDisk)).catch((error: unknown) => {
        throw refusedByDisk(error, dir, "build cache") ?? error;
      });
      // In order: what names others comes after them.
      for (const digest of missing) await adopt(kept.pathOf(digest), store, digest);
      await Promise.all([syncFolder(store.folder), list(about)]);
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
