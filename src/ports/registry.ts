import type { ImageReference } from "../image/reference.ts";
import type { Digest } from "../model/canonical.ts";
import type { Blobs, Descriptor, Referrer, Store } from "./store.ts";

/** What a name of a registry points at. */
export interface ResolvedImage {
  /** The index, where the name has one for several platforms. */
  readonly index: { readonly digest: Digest; readonly bytes: Buffer } | null;
  /** Manifests of images by platform: `linux/amd64`, `linux/arm/v7`. */
  readonly platforms: { readonly [platform: string]: Digest };
}

export interface TransferOptions {
  readonly signal: AbortSignal;
  /** Bytes of one blob that are where they should be by now. */
  readonly progress?: (done: { readonly digest: Digest; readonly bytes: number; readonly of: number }) => void;
}

/** Judges an image on its way in; what it throws ends the transfer. */
export interface PullOptions extends TransferOptions {
  /** Before any layer is fetched. */
  readonly checkImage: (manifest: Buffer, config: Buffer) => void;
  /** @param file holds the layer; its bytes are those of its digest */
  readonly checkLayer: (layer: Descriptor, position: number, file: string) => Promise<void>;
}

export interface PushOptions extends TransferOptions {
  /** Blobs that another repository of the same registry may have: then they need not be sent. */
  readonly alsoIn?: ReadonlyMap<Digest, string>;
  /** Manifests whose subject the image is, to be put there with it. */
  readonly referrers?: readonly Referrer[];
}

/** Images of others, over the OCI distribution protocol. @see OCI distribution specification 1.1 */
export interface Registry {
  /** @throws {OperatorError} `NOT_FOUND`, `REGISTRY_FAILED` naming host and cause, `VERIFICATION_FAILED` */
  resolve(reference: ImageReference, signal: AbortSignal): Promise<ResolvedImage>;
  /**
   * Brings an image into `blobs`: layers, then config, then manifest, so that a manifest there means a whole image. What
   * is there is not fetched again; what a broken transfer left is gone on with.
   */
  pull(reference: ImageReference, manifest: Digest, blobs: Blobs, options: PullOptions): Promise<void>;
  /**
   * Brings what is said about an image into the store: signatures, attestations. At most a hundred of them and 512 MB; more are
   * left there.
   *
   * @returns how many there are, and how many of them the store has now
   */
  pullReferrers(
    reference: ImageReference,
    subject: Digest,
    store: Pick<Store, "stat" | "write" | "attach">,
    options: TransferOptions,
  ): Promise<{ readonly found: number; readonly taken: number }>;
  /** Puts an image there, under the reference's tag where it has one, bytes as they are. What is there is not sent. */
  push(manifest: Digest, reference: ImageReference, blobs: Blobs, options: PushOptions): Promise<void>;
}
