import type { Digest } from "../model/canonical.ts";
import type { Blobs, Descriptor } from "./store.ts";

/** Files that a step sees besides its root. Absolute paths are in the step's root. */
export type StepMount =
  /** Files of an image or of the project, read-only or on a throw-away layer: what is written there is gone afterwards. */
  | {
      readonly kind: "bind";
      readonly target: string;
      /** Layers of an image and a path in them, or a folder of this machine. */
      readonly from: { readonly layers: readonly StepLayer[]; readonly path: string } | { readonly folder: string };
      readonly writable: boolean;
    }
  /** A folder that later steps with the same id find again; never part of the image, and may be empty at any time. */
  | {
      readonly kind: "cache";
      readonly target: string;
      readonly id: string;
      readonly sharing: "shared" | "private" | "locked";
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly writable: boolean;
    }
  /** A value on a file system in memory: it reaches no layer, no log and no argument list. */
  | {
      readonly kind: "secret";
      readonly target: string;
      readonly value: Uint8Array;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly kind: "tmpfs"; readonly target: string; readonly bytes: number | null };

/** A layer below a step: the blob, and the digest of its tar. */
export interface StepLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** True for what a step set aside. */
  readonly aside?: boolean;
}

export interface StepRequest {
  /** The root, lowest layer first; empty: an empty root. */
  readonly layers: readonly StepLayer[];
  /** The program and its arguments; nothing takes them apart. */
  readonly command: readonly string[];
  /** What the program reads on its standard input; absent: nothing. */
  readonly input?: string;
  /** `NAME=value`; values of secret variables are in `secretEnv`. */
  readonly env: readonly string[];
  readonly secretEnv: readonly string[];
  readonly workdir: string;
  /** As in an image's config: a name or number, with or without a group; "" means root. */
  readonly user: string;
  readonly mounts: readonly StepMount[];
  readonly network: "egress" | "none";
  /** Latest time of anything in the layer, whole seconds since the epoch. */
  readonly epoch: number;
}

/** What a step sent to others than itself, counted on its own interface. */
export interface NetworkUse {
  readonly sentPackets: number;
  readonly receivedBytes: number;
}

export interface StepResult {
  /** What the step changed, as a layer among the blobs of the options; null: nothing. */
  readonly layer: StepLayer | null;
  /**
   * What it left that belongs into no image but is of use to later steps of the same stage: package lists, caches. They get it as one
   * more of their `layers`, right after `layer` (or in its place); no image does. null: nothing.
   */
  readonly aside: StepLayer | null;
  readonly network: NetworkUse;
}

export interface StepOptions {
  /** Where the request's layers are, and where the step's own goes. */
  readonly blobs: Blobs;
  readonly signal: AbortSignal;
  /** The program's output as it comes, both streams in the order in which they were read. */
  readonly output: (piece: Buffer) => void;
}

/**
 * Runs a program on the layers of an image, in namespaces of its own, and makes a layer of what it changed. Equal requests
 * of deterministic programs give equal layers.
 */
export interface StepRunner {
  /**
   * @throws {OperatorError} `BUILD_FAILED` when the program ends with another status than 0, with that status in `details.status`;
   * `MACHINE_LACKS`, `DISK_FULL`, `INTERRUPTED`, `VERIFICATION_FAILED` for layers that lie. Nothing of it is left afterwards.
   */
  run(request: StepRequest, options: StepOptions): Promise<StepResult>;
  /** Gives back what the runner holds of the machine; no step may be under way. */
  close(): Promise<void>;
}
