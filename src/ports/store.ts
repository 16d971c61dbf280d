import type { Digest } from "../model/canonical.ts";

/** An OCI descriptor: what a manifest says about a blob. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: { readonly [key: string]: string };
}

/** A manifest that is about another one, its subject: a signature, an attestation, a result. */
export interface Referrer extends Descriptor {
  readonly artifactType: string;
}

/** An artifact that was built here. */
export interface BuildRecord {
  readonly artifact: Digest;
  /** Manifests of the images that it was made from, in any stage, and indexes that named them; sorted. */
  readonly from: readonly Digest[];
}

/** Content-addressed blobs. Each write is on disk (fsync, rename, fsync of the folder) before it resolves. */
export interface Blobs {
  /** Size in bytes, or undefined when the store lacks it. */
  stat(digest: Digest): Promise<number | undefined>;
  /** Whole blob in memory; for manifests and configs. @throws `NOT_FOUND`, `VERIFICATION_FAILED` (wrong bytes), `VERIFICATION_FAILED` beyond `maxBytes` (default 4 MiB) */
  read(digest: Digest, maxBytes?: number): Promise<Buffer>;
  /** A local file that holds the blob, for those who read it in bulk. @throws `NOT_FOUND` */
  path(digest: Digest): Promise<string>;
  /**
   * Writes bytes under their digest; nothing is visible unless all of it arrived and `expected` (if given) matches. A piece
   * of the source is needed until the one after the next is asked for.
   */
  write(
    source: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    expected?: { readonly digest: Digest; readonly size?: number },
  ): Promise<{ readonly digest: Digest; readonly size: number }>;
}

/** Blobs that are looked at before they are taken in; the store's own can be read here too. */
export interface Stage extends Blobs {
  /** Begins to bring blobs to disk that are going to be published: it takes no time then. Failures are told by `publish`. */
  sync(digests: readonly Digest[]): void;
  /**
   * Takes these blobs into the store, on disk before it resolves; nothing else stays of the stage.
   *
   * @param digests in the order in which they are to be seen there: what names others comes after them
   * @param about manifests among them that name a subject: `referrers` lists them from then on
   * @throws `NOT_FOUND`
   */
  publish(digests: readonly Digest[], about?: readonly Uint8Array[]): Promise<void>;
  /** Forgets what was not published; may be called at any time, and again. */
  discard(): Promise<void>;
}

/** Blobs, manifests and tags. */
export interface Store extends Blobs {
  /**
   * A place for blobs that become the store's only when published.
   *
   * @param folder one that keeps them for the next who names it, and which may lose any of them between two builds; default:
   * one of its own
   */
  stage(folder?: string): Promise<Stage>;
  /** Points a name at a manifest. Names are `[HOST:PORT/][a-z0-9._/-]+:[A-Za-z0-9._-]+`. */
  tag(name: string, digest: Digest): Promise<void>;
  /** The digest a name points at, or undefined. */
  resolve(name: string): Promise<Digest | undefined>;
  /**
   * Takes in a manifest that names a subject: from then on `referrers` lists it. Its own blobs are written before it; the
   * subject need not be there.
   *
   * @throws {OperatorError} `VERIFICATION_FAILED` when it names no subject
   */
  attach(manifest: Uint8Array): Promise<Referrer>;
  /**
   * The manifests whose subject this is, sorted by digest; those that the store has lost, or whose bytes were changed, are left out.
   *
   * @param artifactType only those of this kind
   */
  referrers(subject: Digest, artifactType?: string): Promise<readonly Referrer[]>;
  /**
   * Remembers that an artifact was built here, and from which images; those of several builds add up. What an image says of
   * itself counts for nothing: only who builds says this.
   */
  recordBuild(artifact: Digest, from: readonly Digest[]): Promise<void>;
  /** Undefined: it was not built here. */
  buildOf(artifact: Digest): Promise<BuildRecord | undefined>;
  /** All artifacts that were built here; those that the store has lost too. */
  builds(): Promise<readonly BuildRecord[]>;
  /** All names, sorted. */
  tags(): Promise<readonly { readonly name: string; readonly digest: Digest }[]>;
}
