import type { StoredImage } from "../drivers/runc/layers.ts";
import type { EventData } from "../ledger/event.ts";
import type { Digest } from "../model/canonical.ts";
import type { Clock } from "../ports/clock.ts";
import type { LocalStore } from "../store/local.ts";
import { hashStored, setBlobAside } from "./storage.ts";

/** Pace of the background check: under 1 % of a core, and little of any disk. */
const bytesPerSecond = 8 * 2 ** 20;
const firstAfterMs = 60_000;
const everyMs = 24 * 3_600_000;
/** After a round that could not be finished: a full disk may be why. */
const againMs = 3_600_000;

export interface ScrubOptions {
  readonly store: LocalStore;
  readonly images: { stored(): readonly StoredImage[]; distrust(diffId: Digest, finding: string): Promise<void> };
  /** Reads the whole ledger again; what it finds is the caller's to tell. */
  readonly audit: () => Promise<unknown>;
  readonly record: (data: EventData) => void;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** Other times and pace than a daemon's, for tests. */
  readonly pace?: { readonly bytesPerSecond: number; readonly firstAfterMs: number };
}

/**
 * Reads the ledger and hashes all blobs and images again, slowly, once a day. What is damaged is an event and is taken away: a blob so that a
 * build or import brings it back, an image so that its instances are seen to have drifted and are replaced from a new one.
 *
 * @returns the way to stop; resolves when the file under way is let go
 */
export function startScrub(options: ScrubOptions): () => Promise<void> {
  const { store, images, audit, record, clock, onError, pace } = options;
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let cancel = clock.after(pace?.firstAfterMs ?? firstAfterMs, begin);

  function begin(): void {
    running = round().then(
      () => schedule(everyMs),
      (error: unknown) => {
        if (stopping.signal.aborted) return;
        onError(error);
        schedule(againMs);
      },
    );
  }

  function schedule(ms: number): void {
    if (!stopping.signal.aborted) cancel = clock.after(ms, begin);
  }

  async function round(): Promise<void> {
    await audit();
    let damaged = 0;
    const { files, bytes } = await hashStored(
      { store, images: () => images.stored(), signal: stopping.signal },
      pace?.bytesPerSecond ?? bytesPerSecond,
      async (one) => {
        damaged += 1;
        if (one.kind === "blob") await setBlobAside(store, record, one);
        else await images.distrust(one.digest, one.finding);
      },
    );
    record({ kind: "storage.checked", files, bytes, damaged });
  }

  return async () => {
    stopping.abort();
    cancel();
    await running;
  };
}
