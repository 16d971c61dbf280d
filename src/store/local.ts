import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { digestHex, isDigest, type Digest } from "../model/canonical.ts";
import { parseReferrer } from "../image/referrer.ts";
import type { Blobs, Referrer, Stage, Store } from "../ports/store.ts";
import { createBlobFolder } from "./blob-folder.ts";
import { createBuildRecords } from "./builds.ts";
import { ignoreMissing, namesIn, refusedByDisk, syncFolder } from "./durable.ts";
import { createKeptStage, type ListReferrers } from "./kept-stage.ts";
import { blobMissing, checkTagName } from "./refusals.ts";
import { leftByDead } from "./temporary.ts";

/** The local store with what only its keeper needs. */
export interface LocalStore extends Store {
  /** Every blob there is, and where; nothing was read of it. */
  blobs(): Promise<readonly { readonly digest: Digest; readonly path: string }[]>;
  /** Whether a blob is there, without waiting. */
  has(digest: Digest): boolean;
  /** Every digest that manifests refer to as their subject, sorted. */
  subjects(): Promise<readonly Digest[]>;
  /** The file that says which manifest a name is for. */
  tagPath(name: string): string;
  /** The file that says that a manifest is about a subject. */
  referrerPath(subject: Digest, manifest: Digest): string;
  /** Takes a blob away whose bytes are not its digest's: kept under `damaged/HEX`. @returns where */
  setAside(digest: Digest): Promise<string>;
  /** What nobody needs: files of dead writers, and damaged blobs that the store has whole again. */
  leftovers(): Promise<readonly string[]>;
}

/**
 * A store in a folder: `blobs/sha256/HEX`, `tags/NAME` (the digest as text), `referrers/SUBJECT/MANIFEST`, `builds/ARTIFACT/FROM`, `tmp/PID-START-RANDOM` while writing.
 * Several processes may use it at once. What killed writers left in `tmp` is removed at the next write.
 */
export function createLocalStore(dir: string): LocalStore {
  const tagsDir = join(dir, "tags");
  const referrersDir = join(dir, "referrers");
  const blobs = createBlobFolder(dir, { durable: true, folders: [tagsDir, referrersDir, join(dir, "builds")] });
  const { pathOf } = blobs;
  const builds = createBuildRecords(join(dir, "builds"));

  const list: ListReferrers = async (manifests) => {
    const changed = new Set<string>();
    try {
      for (const { subject, descriptor } of manifests.map(parseReferrer)) {
        const folder = join(referrersDir, digestHex(subject));
        mkdirSync(folder, { recursive: true, mode: 0o755 });
        // That it is listed is all the entry says: the rest says the manifest.
        closeSync(openSync(join(folder, digestHex(descriptor.digest)), "a", 0o444));
        changed.add(folder);
      }
      if (changed.size > 0) await Promise.all([referrersDir, ...changed].map(syncFolder));
    } catch (error) {
      throw refusedByDisk(error, dir) ?? error;
    }
  };

  const damaged = join(dir, "damaged");

  const store: LocalStore = {
    stat: blobs.stat,

    async blobs() {
      const names = (await readdir(blobs.folder).catch(ignoreMissing)) ?? [];
      return names
        .map((name) => `sha256:${name}`)
        .filter(isDigest)
        .sort()
        .map((digest) => ({ digest, path: pathOf(digest) }));
    },

    has: (digest) => existsSync(pathOf(digest)),

    referrerPath: (subject, manifest) => join(referrersDir, digestHex(subject), digestHex(manifest)),

    tagPath: (name) => join(tagsDir, encodeURIComponent(name)),

    async setAside(digest) {
      const aside = join(damaged, digestHex(digest));
      await mkdir(damaged, { recursive: true, mode: 0o700 });
      await rename(pathOf(digest), aside);
      await syncFolder(damaged);
      await syncFolder(blobs.folder);
      return aside;
    },

    async leftovers() {
      const replaced: string[] = [];
      for (const name of (await readdir(damaged).catch(ignoreMissing)) ?? []) {
        const digest = `sha256:${name}`;
        if (!isDigest(digest) || (await blobs.stat(digest)) !== undefined) replaced.push(join(damaged, name));
      }
      return [...leftByDead(join(dir, "tmp")), ...replaced];
    },

    read: blobs.read,
    path: blobs.path,
    write: blobs.write,

    async tag(name, digest) {
      checkTagName(name);
      if ((await blobs.stat(digest)) === undefined) throw blobMissing(digest);
      if ((await readTag(join(tagsDir, encodeURIComponent(name))).catch(() => undefined)) === digest) return;
      await blobs.placeBytes(Buffer.from(`${digest}\n`), join(tagsDir, encodeURIComponent(name)), tagsDir);
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

    async attach(manifest) {
      const { descriptor } = parseReferrer(manifest);
      if ((await blobs.stat(descriptor.digest)) !== descriptor.size) await blobs.write(manifest);
      // Last, so that what is listed is there.
      await list([manifest]);
      return descriptor;
    },

    async subjects() {
      const names = (await readdir(referrersDir).catch(ignoreMissing)) ?? [];
      return names
        .map((name) => `sha256:${name}`)
        .filter(isDigest)
        .sort();
    },

    async referrers(subject, artifactType) {
      const names = namesIn(join(referrersDir, digestHex(subject))) ?? [];
      const digests = names.map((name) => `sha256:${name}`).filter(isDigest);
      const found = await Promise.all(digests.map((digest) => describeReferrer(blobs, digest)));
      return found
        .filter((one) => one !== undefined)
        .filter((one) => artifactType === undefined || one.artifactType === artifactType)
        .sort((a, b) => (a.digest < b.digest ? -1 : 1));
    },

    recordBuild: builds.record,
    buildOf: builds.read,
    builds: builds.all,

    async stage(folder) {
      // Clears what killed writers left, also for a build that has nothing to write.
      const temporary = await blobs.temporary();
      return folder === undefined
        ? stageOver(store, temporary, blobs.folder, list)
        : createKeptStage(blobs, folder, list);
    },
  };
  return store;
}

/** @returns undefined where the store has lost it, or its bytes were changed */
async function describeReferrer(blobs: Pick<Blobs, "read">, digest: Digest): Promise<Referrer | undefined> {
  try {
    return parseReferrer(await blobs.read(digest)).descriptor;
  } catch (error) {
    if (error instanceof OperatorError && /^(NOT_FOUND|VERIFICATION_FAILED)$/.test(error.code)) return undefined;
    throw error;
  }
}

/** @param folder where staged blobs are until they are published to the folder `blobs` */
function stageOver(store: Store, folder: string, blobs: string, list: ListReferrers): Stage {
  const staged = createLocalStore(folder);
  const of = async (digest: Digest): Promise<Store> => ((await staged.stat(digest)) === undefined ? store : staged);
  const discard = (): Promise<void> => rm(folder, { recursive: true, force: true });
  return {
    stat: async (digest) => (await of(digest)).stat(digest),
    read: async (digest, maxBytes) => (await of(digest)).read(digest, maxBytes),
    path: async (digest) => (await of(digest)).path(digest),
    write: (source, expected) => staged.write(source, expected),
    // Each is on disk when it is written.
    sync: () => undefined,
    async publish(digests, about = []) {
      for (const digest of new Set(digests)) {
        const from = await of(digest);
        const path = await from.path(digest);
        if (from === staged) await rename(path, join(blobs, digestHex(digest)));
      }
      await Promise.all([syncFolder(blobs), list(about)]);
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
