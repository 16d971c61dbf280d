import type { BuildDefinition } from "../model/definition.ts";
import type { Registry } from "../ports/registry.ts";
import type { Store } from "../ports/store.ts";
import type { LockFile } from "./lock-file.ts";
import type { BuildEvent } from "./options.ts";

/** Something that was pinned, moved, or is pinned no more. */
export interface PinChange {
  readonly kind: "base" | "package";
  readonly name: string;
  /** What it was pinned to, a digest or a version; null: it was not. */
  readonly from: string | null;
  /** null: it is needed no more. */
  readonly to: string | null;
}

export interface PinOptions {
  /** Where bronze.lock is. */
  readonly projectDir: string;
  readonly store: Store;
  readonly registry: Registry;
  /** Folder that may be deleted at any time. */
  readonly cacheDir: string;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
  /** True: pins that are there move to what is newest; false: only missing ones are made. */
  readonly update: boolean;
  /** Names to pin, as the definition or the lock writes them; empty: all. */
  readonly only: readonly string[];
  /** What else is built in that folder: its pins stay. */
  readonly beside?: readonly BuildDefinition[];
}

/** What is to be pinned, found out before the lock is held. */
export interface Pinning {
  readonly changes: readonly PinChange[];
  /** Puts it into whatever the lock says at that moment. */
  readonly apply: (lock: LockFile) => LockFile;
}

export const noPinning: Pinning = { changes: [], apply: (lock) => lock };
