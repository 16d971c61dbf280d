import { closeSync, mkdirSync, openSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { digestHex, isDigest, type Digest } from "../model/canonical.ts";
import type { BuildRecord, Store } from "../ports/store.ts";
import { ignoreMissing, namesIn, refusedByDisk, syncFolder } from "./durable.ts";

/**
 * Which artifacts were built here, and from what: `HEX/FROM` in a folder, an empty file for each image. Nothing is ever
 * taken back, so that builds beside each other add up.
 */
export function createBuildRecords(folder: string): {
  readonly record: Store["recordBuild"];
  readonly read: Store["buildOf"];
  readonly all: Store["builds"];
} {
  const fromOf = async (hex: string): Promise<readonly Digest[] | undefined> => digests(await list(join(folder, hex)));
  return {
    async record(artifact, from) {
      const own = join(folder, digestHex(artifact));
      try {
        mkdirSync(own, { recursive: true, mode: 0o755 });
        for (const digest of new Set(from)) closeSync(openSync(join(own, digestHex(digest)), "a", 0o444));
        // Also where all of it was there: whoever made it may have been killed before it was on disk.
        await Promise.all([syncFolder(own), syncFolder(folder)]);
      } catch (error) {
        throw refusedByDisk(error, folder) ?? error;
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
