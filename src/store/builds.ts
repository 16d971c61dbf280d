import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { digestHex, isDigest, type Digest } from "../model/canonical.ts";
import type { BuildRecord, Store } from "../ports/store.ts";
import type { BlobFolder } from "./blob-folder.ts";
import { ignoreMissing, namesIn, syncFolder } from "./durable.ts";

/**
 * Which artifacts were built here, and from what: `HEX/FROM` in a folder, an empty file for each image. Nothing is ever
 * taken back, so that builds beside each other add up.
 */
export function createBuildRecords(
  folder: string,
  blobs: Pick<BlobFolder, "place">,
): { readonly record: Store["recordBuild"]; readonly read: Store["buildOf"]; readonly all: Store["builds"] } {
  const fromOf = async (hex: string): Promise<readonly Digest[] | undefined> => digests(await list(join(folder, hex)));
  return {
    async record(artifact, from) {
      const own = join(folder, digestHex(artifact));
      if (!existsSync(own)) {
        await mkdir(own, { recursive: true, mode: 0o755 });
        await syncFolder(folder);
      }
      for (const digest of new Set(from)) {
        const target = join(own, digestHex(digest));
        if (!existsSync(target)) await blobs.place(async () => ({ target, result: undefined }), own);
      }
    },
    async read(artifact) {
      const from = digests(namesIn(join(folder, digestHex(artifact))));
      return from === undefined ? undefined : { artifact, from };
    },
    async all() {
      const artifacts = digests(await list(folder)) ?? [];
      const records: BuildRecord[] = [];
      for (const artifact of artifacts) records.push({ artifact, from: (await fromOf(digestHex(artifact))) ?? [] });
      return records;
    },
  };
}

function list(folder: string): Promise<string[] | undefined> {
  return readdir(folder).catch(ignoreMissing);
}

function digests(names: readonly string[] | undefined): readonly Digest[] | undefined {
  return names
    ?.map((name) => `sha256:${name}`)
    .filter(isDigest)
    .sort();
}
