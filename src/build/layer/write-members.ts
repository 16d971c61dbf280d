import type { TarEntry } from "../../image/tar-entry.ts";
import type { TarBytes, TarSource } from "../../image/tar-write.ts";
import type { Digest, Json } from "../../model/canonical.ts";
import type { Blobs } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import { rulesVersion } from "../secrets/rules.ts";
import { rememberClean } from "../secrets/scan-layer.ts";
import { WrittenSearch } from "../secrets/search-written.ts";
import { isProjectFile, type LayerBytes } from "./contents.ts";
import {
  createContentTable,
  openEarlierContents,
  rememberContents,
  type ContentTable,
  type EarlierContents,
} from "./earlier-contents.ts";
import type { LayerSource } from "./placement.ts";

/** What is known of a layer beyond its members. */
export interface LayerUse {
  /** Which step of which project makes it: its next layer is made of this one. Absent: no other step is like it. */
  readonly step?: Json;
  /** True: it becomes a layer of the image, so secrets are looked for while it is written. */
  readonly isPublished?: boolean;
  /** Gets the layer's members when all their contents have names, also where it was made before. */
  readonly record?: (layer: Digest, members: readonly LayerSource[]) => void;
}

/** The members of a layer on their way into it. */
export interface MemberWriting {
  /** For the writer, who goes through it once. */
  readonly sources: Iterable<TarSource>;
  /** Those of them whose bytes are read from where they are. */
  readonly unread: readonly LayerSource[];
  /** Remembers what was learned of the layer. */
  save(layer: Digest): Promise<void>;
  close(): void;
}

/** Begins to write a layer: what the same step wrote before is taken from there, and the rest is searched for secrets. */
export async function writeMembers(
  members: readonly LayerSource[],
  { step, isPublished = false }: LayerUse,
  { store, cache }: { readonly store: Blobs; readonly cache: BuildCache },
): Promise<MemberWriting> {
  const key = step === undefined ? undefined : { version: 1, rules: rulesVersion, step };
  const earlier = key === undefined ? undefined : await openEarlierContents(store, cache, key);
  const search = isPublished ? new WrittenSearch() : undefined;
  const table = key === undefined ? undefined : createContentTable();
  const writing = { earlier, search, table };
  return {
    sources: sourcesOf(members, writing),
    unread: earlier === undefined ? members : members.filter(({ bytes }) => !earlier.has(contentOf(bytes) ?? "")),
    async save(layer) {
      const isClean = search?.end() === true;
      const rows = table?.end();
      await Promise.all([
        isClean ? rememberClean(cache, layer) : undefined,
        key === undefined || rows === undefined
          ? undefined
          : rememberContents(cache, key, { layer, isClean, table: rows }),
      ]);
    },
    close: () => earlier?.close(),
  };
}

interface Writing {
  readonly earlier: EarlierContents | undefined;
  readonly search: WrittenSearch | undefined;
  readonly table: ContentTable | undefined;
}

function* sourcesOf(members: readonly LayerSource[], writing: Writing): Generator<TarSource> {
  for (const { entry, bytes } of members)
    yield bytes === undefined ? { entry } : { entry, bytes: new WrittenBytes(entry, bytes, writing) };
}

/** A class, for every member has one. */
class WrittenBytes implements TarBytes {
  readonly #entry: TarEntry;
  readonly #bytes: LayerBytes;
  readonly #writing: Writing;

  constructor(entry: TarEntry, bytes: LayerBytes, writing: Writing) {
    this.#entry = entry;
    this.#bytes = bytes;
    this.#writing = writing;
  }

  *read(): Generator<Uint8Array> {
    const { search } = this.#writing;
    let offset = 0;
    for (const piece of this.#bytes.read()) {
      search?.piece(this.#entry.path, offset, piece);
      offset += piece.byteLength;
      yield piece;
    }
    search?.endFile();
  }

  fill(target: Buffer, at: number, offset: number): void {
    const { earlier, search, table } = this.#writing;
    const { path, size } = this.#entry;
    const known = earlier === undefined ? undefined : contentOf(this.#bytes);
    const isCopied = known !== undefined && earlier?.fill(known, size, target, at) === true;
    if (!isCopied) this.#bytes.fill(target, at, offset);
    search?.file(path, target.subarray(at, at + size), isCopied && earlier?.isClean === true);
    const content = isCopied ? known : contentOf(this.#bytes);
    if (content !== undefined) table?.add(content, size, offset);
  }
}

/** sha256 of a project's file, as far as it is known. */
function contentOf(bytes: LayerBytes | undefined): string | undefined {
  return bytes !== undefined && isProjectFile(bytes) ? bytes.known() : undefined;
}
