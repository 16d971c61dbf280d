import type { Readable } from "node:stream";
import type { Digest } from "../model/canonical.ts";

/** An OCI descriptor: what a manifest says about a blob. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: { readonly [key: string]: string };
}

/** Content-addressed blobs, manifests and tags. Each write is on disk (fsync, rename, fsync of the folder) before it resolves. */
export interface Store {
  /** Size in bytes, or undefined when the store lacks it. */
  stat(digest: Digest): Promise<number | undefined>;
  /** Whole blob in memory; for manifests and configs. @throws `NOT_FOUND`, `VERIFICATION_FAILED` (wrong bytes), `VERIFICATION_FAILED` beyond `maxBytes` (default 4 MiB) */
  read(digest: Digest, maxBytes?: number): Promise<Buffer>;
  /** A local file that holds the blob, for those who read it in bulk. @throws `NOT_FOUND` */
  path(digest: Digest): Promise<string>;
  /** Writes bytes under their digest; nothing is visible unless all of it arrived and `expected` (if given) matches. */
  write(
    source: Readable | Uint8Array,
    expected?: { readonly digest: Digest; readonly size?: number },
  ): Promise<{ readonly digest: Digest; readonly size: number }>;
  /** Points a name at a manifest. Names are `[a-z0-9._/-]+:[A-Za-z0-9._-]+`. */
  tag(name: string, digest: Digest): Promise<void>;
  /** The digest a name points at, or undefined. */
  resolve(name: string): Promise<Digest | undefined>;
  /** All names, sorted. */
  tags(): Promise<readonly { readonly name: string; readonly digest: Digest }[]>;
}
