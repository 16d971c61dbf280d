import type { Digest } from "../model/canonical.ts";
import type { Blobs, Descriptor } from "./store.ts";

/** `HOST[:PORT]/NAME`, with the tag or digest of an image in it. */
export interface ImageReference {
  /** `docker.io`, `registry.example:5000`, `127.0.0.1:5000`. */
  readonly host: string;
  /** `library/debian`. */
  readonly repository: string;
  readonly tag: string | null;
  readonly digest: Digest | null;
}

/** What a tag of a registry points at. */
export interface ResolvedImage {
  /** The index, where the tag names one for several platforms. */
  readonly index: Digest | null;
  /** Manifests by platform: `linux/amd64`, `linux/arm64/v8`. */
  readonly platforms: { readonly [platform: string]: Digest };
}

export interface TransferOptions {
  readonly signal: AbortSignal;
  readonly progress?: (done: { readonly digest: Digest; readonly bytes: number; readonly of: number }) => void;
}

/** Images of others, over the OCI distribution protocol. @see OCI distribution specification 1.1 */
export interface Registry {
  /** @throws {OperatorError} `NOT_FOUND`, `REGISTRY_FAILED` naming host and cause */
  resolve(reference: ImageReference, signal: AbortSignal): Promise<ResolvedImage>;
  /** Brings a manifest, its config and layers into `blobs`, verified; what is there is not fetched again. */
  pull(reference: ImageReference, manifest: Digest, blobs: Blobs, options: TransferOptions): Promise<Descriptor>;
  /** Puts an image there under a tag, bytes as they are. @returns what the registry has now */
  push(manifest: Digest, reference: ImageReference, blobs: Blobs, options: TransferOptions): Promise<Descriptor>;
}
