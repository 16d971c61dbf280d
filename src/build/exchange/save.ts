import { closeSync, openSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { OperatorError } from "../../errors/operator-error.ts";
import { layerCompression, mediaTypes } from "../../image/media-types.ts";
import { parseConfig, parseManifest, parseObject, serialiseIndex, type BlobDescriptor } from "../../image/oci.ts";
import { fullName, shortName, type ImageReference } from "../../image/reference.ts";
import { writeTar, type TarSource } from "../../image/tar-write.ts";
import { canonicalJson, digestHex, sha256, type Digest, type Json } from "../../model/canonical.ts";
import type { Stage, Store } from "../../ports/store.ts";
import { streamOf } from "../layer/blob.ts";
import { layerTar } from "../layer/blob.ts";
import { referrersAnnotation, savedReferrers } from "./referrers.ts";
import { isIndex } from "./take.ts";

/** For whom an archive is: OCI readers, `docker load` of any Docker since 1.10, or both in one. */
export type SaveFormat = "both" | "oci" | "docker";

export interface SavedImage {
  readonly digest: Digest;
  /** What it is called where it is loaded; null: nothing. */
  readonly name: ImageReference | null;
}

export interface SaveOptions {
  readonly store: Store;
  readonly format: SaveFormat;
  readonly signal: AbortSignal;
}

/**
 * Images of the store as one archive, with what the store has that is said about them: equal images, names and referrers, equal bytes. Blobs are shared by both readers; only layers
 * compressed by zstd, which Docker of those days does not know, are there for it as plain tar as well.
 *
 * @param write takes the archive's bytes
 * @throws {OperatorError} `NOT_FOUND`, `ARGUMENT_INVALID` for an index, what `write` throws
 * @see OCI image specification, image-layout.md; Docker image specification v1.2
 */
export async function saveImages(
  images: readonly SavedImage[],
  { store, format, signal }: SaveOptions,
  write: (archive: Readable) => Promise<void>,
): Promise<void> {
  const stage = await store.stage();
  try {
    const blobs = new Map<Digest, { readonly path: string; readonly size: number }>();
    const indexes = new Map<Digest, Buffer>();
    const entries: BlobDescriptor[] = [];
    const list: Json[] = [];
    const add = async (from: Stage, digest: Digest): Promise<void> => {
      blobs.set(digest, { path: await from.path(digest), size: (await from.stat(digest)) ?? 0 });
    };
    for (const { digest, name } of images) {
      const bytes = await store.read(digest);
      if (isIndex(bytes))
        throw new OperatorError("ARGUMENT_INVALID", `Cannot save ${digest}: it is an index of several images`, {
          hint: "name the image of one platform",
        });
      const { mediaType } = parseObject(bytes, "manifest");
      const manifest = parseManifest(bytes);
      const image = parseConfig(await store.read(manifest.config.digest));
      const said = format === "docker" ? undefined : await savedReferrers(store, digest);
      for (const blob of said?.blobs ?? []) await add(stage, blob);
      if (said !== undefined) indexes.set(sha256(said.index), said.index);
      const annotations = {
        ...(name === null ? {} : namesOf(name)),
        ...(said === undefined ? {} : { [referrersAnnotation]: sha256(said.index) }),
      };
      entries.push({
        mediaType: typeof mediaType === "string" ? mediaType : mediaTypes.manifest,
        digest,
        size: bytes.byteLength,
        ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      });
      if (format !== "docker") for (const layer of manifest.layers) await add(stage, layer.digest);
      if (format !== "docker") await add(stage, digest);
      await add(stage, manifest.config.digest);
      const layers: string[] = [];
      for (const [position, layer] of manifest.layers.entries()) {
        const plain = image.diffIds[position];
        const isOdd = layerCompression(layer.mediaType) === "zstd" && format !== "oci" && plain !== undefined;
        if (isOdd && (await stage.stat(plain)) === undefined)
          await stage.write(Readable.from(layerTar(store, layer), { objectMode: false }), { digest: plain });
        const chosen = isOdd ? plain : layer.digest;
        if (format !== "oci") await add(stage, chosen);
        layers.push(blobPath(chosen));
      }
      list.push({
        Config: blobPath(manifest.config.digest),
        Layers: layers,
        RepoTags: name === null || name.tag === null ? null : [shortName(name)],
      });
    }
    const documents: [string, Buffer][] = [
      ...(format === "docker"
        ? []
        : ([
            ["index.json", serialiseIndex(entries)],
            ["oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
          ] satisfies [string, Buffer][])),
      ...(format === "oci" ? [] : ([["manifest.json", Buffer.from(canonicalJson(list))]] satisfies [string, Buffer][])),
    ];
    const sources: TarSource[] = [
      folder("blobs"),
      folder("blobs/sha256"),
      ...[
        ...[...blobs].map(([digest, { path, size }]) => file(blobPath(digest), size, () => readPieces(path))),
        ...[...indexes].map(([digest, bytes]) => file(blobPath(digest), bytes.byteLength, () => [bytes])),
      ].sort((a, b) => (a.entry.path < b.entry.path ? -1 : 1)),
      ...documents.map(([path, bytes]) => file(path, bytes.byteLength, () => [bytes])),
    ];
    await write(streamOf(writeTar(sources), signal));
  } finally {
    await stage.discard();
  }
}

function namesOf(name: ImageReference): { readonly [key: string]: string } {
  return {
    "io.containerd.image.name": fullName({ ...name, digest: null }),
    ...(name.tag === null ? {} : { "org.opencontainers.image.ref.name": name.tag }),
  };
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

const owned = { uid: 0, gid: 0, mtime: 0, target: "" };

function folder(path: string): TarSource {
  return { entry: { ...owned, path, kind: "directory", mode: 0o755, size: 0 } };
}

function file(path: string, size: number, content: () => Iterable<Uint8Array>): TarSource {
  return { entry: { ...owned, path, kind: "file", mode: 0o644, size }, content };
}

function* readPieces(path: string): Generator<Buffer> {
  const fd = openSync(path, "r");
  try {
    const piece = Buffer.allocUnsafe(1 << 20);
    for (let count = readSync(fd, piece); count > 0; count = readSync(fd, piece)) yield piece.subarray(0, count);
  } finally {
    closeSync(fd);
  }
}
