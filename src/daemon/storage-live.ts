import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Recorder } from "../controller/recorder.ts";
import { imageLeftovers } from "../drivers/runc/leftovers.ts";
import type { RuncRuntime } from "../drivers/runc/runtime.ts";
import type { SqliteJournal } from "../drivers/sqlite/journal.ts";
import type { StorageReport } from "../model/api/storage.ts";
import type { Places } from "../model/places.ts";
import type { Clock } from "../ports/clock.ts";
import type { LocalStore } from "../store/local.ts";
import { audit } from "./ledger-pages.ts";
import { startScrub } from "./scrub.ts";
import { buildLeftovers } from "./build-leftovers.ts";
import { volumeLeftovers } from "../drivers/volumes/leftovers.ts";
import { checkStorage, fileLeftover, storageWarnings, type StorageParts } from "./storage.ts";

/** How often the ledger's reserve is looked after, in ms. */
const reserveMs = 2_000;

export interface LiveStorageOptions {
  readonly places: Places;
  readonly store: LocalStore;
  readonly runtime: RuncRuntime;
  readonly journal: SqliteJournal;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
}

/** What a running daemon does about its own disk. */
export interface LiveStorage {
  check(mend: boolean, progress: (text: string) => void): Promise<StorageReport>;
  /** What a status has to say about the disk. */
  warnings(): readonly string[];
  /** Keeps the reserve and the slow check going from now on. */
  start(): void;
  stop(): Promise<void>;
}

export function createLiveStorage(options: LiveStorageOptions): LiveStorage {
  const { places, store, runtime, journal, recorder, clock } = options;
  let ledgerDamage: string | null = null;
  let isReserveWhole = true;
  let stopKeeping = (): void => {};
  let stopScrub = async (): Promise<void> => {};

  const auditLedger: StorageParts["audit"] = async () => {
    const found = await audit(journal, (folded) => isDeepStrictEqual(recorder.state, folded));
    ledgerDamage = found.damage?.finding ?? null;
    return found;
  };
  const parts = (mend: boolean): StorageParts => ({
    store,
    state: () => recorder.state,
    imageFolder: join(places.state, "layers"),
    images: () => runtime.images.stored(),
    leftovers: async () => [
      ...(await store.leftovers()).map((path) =>
        fileLeftover(path, "of a writer that is gone, or damaged and replaced since"),
      ),
      ...imageLeftovers(places, recorder.state.layerImages, true),
      ...(await buildLeftovers(places.state)),
      ...volumeLeftovers(places),
    ],
    audit: auditLedger,
    mending: mend
      ? {
          record: (data) => recorder.append(data),
          distrustImage: (diffId, finding) => runtime.images.distrust(diffId, finding),
          prepare: (artifact) => runtime.images.make(artifact),
          refold: () => recorder.refold(),
        }
      : null,
    signal: options.signal,
  });
  function keepReserve(): void {
    isReserveWhole = journal.keepReserve();
    stopKeeping = clock.after(reserveMs, keepReserve);
  }
  return {
    check: (mend, progress) => checkStorage(parts(mend), mend, progress),
    warnings: () => storageWarnings(places, store, recorder.state, { isReserveWhole, ledgerDamage }),
    start() {
      keepReserve();
      stopScrub = startScrub({
        store,
        images: runtime.images,
        audit: auditLedger,
        record: (data) => recorder.append(data),
        clock,
        onError: options.onError,
      });
    },
    async stop() {
      stopKeeping();
      await stopScrub();
    },
  };
}
