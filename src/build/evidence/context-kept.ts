import type { BytePath } from "../../image/tar-entry.ts";
import { fromBytePath } from "../../image/tar-entry.ts";
import { writeTar, type TarSource } from "../../image/tar-write.ts";
import { digestHex, sha256 } from "../../model/canonical.ts";
import type { Blobs } from "../../ports/store.ts";
import type { ImageState } from "../image-state.ts";
import { isProjectFile, readPieces } from "../layer/contents.ts";
import { lockFileName } from "../lock-file.ts";
import type { Source } from "../source.ts";
import { contentOf, type ContextList } from "./context-list.ts";
import { materialTypes, putMaterial, type Material } from "./materials.ts";
import type { BuildFacts } from "./recorder.ts";
import { mediaTypes } from "../../image/media-types.ts";

/**
 * Whether the files that a build used have to be kept: they are not those of a commit, or not known to be. Files that git
 * ignores are in none.
 */
export function isContextKept({ files }: BuildFacts, { commit, dirty, ignored }: Source): boolean {
  if (commit === null || dirty || ignored === null) return true;
  if (ignored.length === 0) return false;
  const single = new Set(ignored);
  const folders = ignored.filter((path) => path.endsWith("/"));
  const isIgnored = (path: BytePath): boolean => {
    const text = fromBytePath(path);
    return text !== lockFileName && (single.has(text) || folders.some((folder) => text.startsWith(folder)));
  };
  return files.some(({ path, kind }) => kind !== "directory" && isIgnored(path));
}

export interface KeptContext {
  readonly facts: BuildFacts;
  readonly image: ImageState;
  readonly blobs: Blobs;
}

/**
 * Keeps the files that a build used: their list, the layers that were made of them as far as the image has not got them, and
 * one archive, by sha256, of contents that no layer holds.
 */
export async function keepContext(
  list: ContextList,
  { facts, image, blobs }: KeptContext,
): Promise<readonly Material[]> {
  const inImage = new Set(image.diffIds);
  const held = new Set<string>();
  const materials = [await putMaterial(blobs, "list of the context", materialTypes.contextList, list.bytes)];
  for (const [digest, members] of facts.layers) {
    for (const { bytes } of members) {
      const content = bytes !== undefined && isProjectFile(bytes) ? bytes.known() : undefined;
      if (content !== undefined) held.add(Buffer.from(content, "latin1").toString("hex"));
    }
    const size = inImage.has(digest) ? undefined : await blobs.stat(digest);
    if (size !== undefined)
      materials.push({ title: "layer of the context", descriptor: { mediaType: mediaTypes.layer, digest, size } });
  }
  const sources = new Map<string, TarSource>();
  for (const { bytes } of facts.read) {
    const name = digestHex(sha256(bytes));
    if (!held.has(name))
      sources.set(
        name,
        contentSource(name, bytes.byteLength, () => [bytes]),
      );
  }
  for (const file of facts.files) {
    if (file.kind !== "file") continue;
    const name = contentOf(file);
    if (!held.has(name))
      sources.set(
        name,
        contentSource(name, file.size, () => copies(readPieces(file))),
      );
  }
  if (sources.size === 0) return materials;
  const inOrder = [...sources].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, source]) => source);
  const { digest, size } = await blobs.write(writeTar(inOrder));
  const descriptor = { mediaType: materialTypes.contextContents, digest, size };
  return [...materials, { title: "contents of the context", descriptor }];
}

function contentSource(path: string, size: number, content: () => Iterable<Uint8Array>): TarSource {
  return { entry: { path, kind: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0, size, target: "" }, content };
}

/** Pieces that are valid for as long as somebody has them. */
function* copies(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
}
