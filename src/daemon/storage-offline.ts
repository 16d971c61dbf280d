import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { imageLeftovers, machineLeftovers, staleProcessFile, type Leftover } from "../drivers/runc/leftovers.ts";
import { storedImages } from "../drivers/runc/layers.ts";
import { createAgeSecrets } from "../drivers/age/secrets.ts";
import { createRuncRuntime } from "../drivers/runc/runtime.ts";
import { volumeFolder } from "../drivers/volumes/layout.ts";
import { createVolumeStore } from "../drivers/volumes/volumes.ts";
import { openSqliteJournal } from "../drivers/sqlite/journal.ts";
import { ledgerPath } from "../drivers/sqlite/ledger-file.ts";
import { salvageLedger } from "../drivers/sqlite/salvage.ts";
import { OperatorError } from "../errors/operator-error.ts";
import type { StorageFinding, StorageReport } from "../model/api/storage.ts";
import type { Places } from "../model/places.ts";
import { createLocalStore } from "../store/local.ts";
import { openLedger } from "./open-ledger.ts";
import { answers, pidFile } from "./socket.ts";
import { buildLeftovers } from "./build-leftovers.ts";
import { volumeLeftovers } from "../drivers/volumes/leftovers.ts";
import { checkStorage, fileLeftover } from "./storage.ts";

export interface OfflineOptions {
  readonly places: Places;
  readonly mend: boolean;
  /** A person's word that everything after this many events is to be dropped, when the ledger is damaged. */
  readonly keepEvents: number | undefined;
  readonly who: string;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

/**
 * Checks and mends a state folder that no daemon has, under the ledger's lock.
 *
 * @throws {OperatorError} `LOCKED` when a daemon has it after all
 */
export async function checkStorageOffline(options: OfflineOptions): Promise<StorageReport> {
  const { places, mend, keepEvents, progress } = options;
  const head = join(places.state, "ledger.head");
  if (!existsSync(ledgerPath(places.state)) && !existsSync(head))
    return { ok: true, files: 0, bytes: 0, events: 0, findings: await findingsOfBuilds(places, mend) };
  let salvaged: StorageFinding | undefined;
  if (mend && keepEvents !== undefined) {
    refuseUndamaged(places);
    const { kept, aside } = salvageLedger(places.state, keepEvents, { who: options.who, atMs: Date.now() });
    progress(`ledger: kept the first ${kept} events; what was there lies in ${aside}`);
    salvaged = {
      kind: "ledger",
      subject: ledgerPath(places.state),
      finding: `damaged; its first ${kept} events were kept`,
      repair: "keep the events that hold",
      mended: true,
      advice: `the damaged files lie in ${aside}`,
    };
  }
  let report: StorageReport;
  try {
    report = await underLock(options);
  } catch (error) {
    if (!(error instanceof OperatorError) || error.code !== "LEDGER_DAMAGED") throw error;
    const damage: StorageFinding = {
      kind: "ledger",
      subject: ledgerPath(places.state),
      finding: error.message,
      repair: null,
      mended: false,
      advice: error.hint,
    };
    return { ok: false, files: 0, bytes: 0, events: 0, findings: [damage] };
  }
  return salvaged === undefined ? report : { ...report, findings: [salvaged, ...report.findings] };
}

function refuseUndamaged(places: Places): void {
  try {
    openSqliteJournal(places.state).close();
  } catch (error) {
    if (error instanceof OperatorError && error.code === "LEDGER_DAMAGED") return;
    throw error;
  }
  throw new OperatorError("ARGUMENT_INVALID", "Cannot drop events: the ledger is not damaged", {
    hint: "leave --keep-events out",
  });
}

async function underLock({ places, mend, signal, progress }: OfflineOptions): Promise<StorageReport> {
  const journal = openSqliteJournal(places.state);
  try {
    const { state, clock, recorder } = openLedger(journal);
    const store = createLocalStore(join(places.state, "store"));
    const imageFolder = join(places.state, "layers");
    const runtime = mend
      ? await createRuncRuntime({
          places,
          store,
          networks: new Map(state.networks),
          sharedSubnet: state.subnet,
          record: (data) => recorder.append(data),
          layerImages: new Map(state.layerImages),
          clock,
          secrets: createAgeSecrets({ state: places.state, now: () => clock.wall() }),
          volumes: createVolumeStore({ folder: volumeFolder(places), wall: () => clock.wall() }),
        })
      : undefined;
    try {
      return await checkStorage(
        {
          store,
          state: () => state,
          imageFolder,
          images: () => storedImages(imageFolder, state.layerImages),
          leftovers: async () => [
            ...(await store.leftovers()).map((path) =>
              fileLeftover(path, "of a writer that is gone, or damaged and replaced since"),
            ),
            ...imageLeftovers(places, state.layerImages, false),
            ...machineLeftovers(places),
            ...(await buildLeftovers(places.state)),
            ...volumeLeftovers(places),
            ...(await fileLeftovers(places)),
          ],
          // Checked and folded a moment ago.
          audit: async () => ({ damage: null, equal: true }),
          mending:
            runtime === undefined
              ? null
              : {
                  record: (data) => recorder.append(data),
                  distrustImage: (diffId, finding) => runtime.images.distrust(diffId, finding),
                  prepare: async (artifact) => {
                    await runtime.images.make(artifact);
                    await runtime.release([]);
                  },
                  refold: () => {},
                },
          signal,
        },
        mend,
        progress,
      );
    } finally {
      runtime?.stop();
    }
  } finally {
    journal.close();
  }
}

/** Where nothing was ever deployed, builds alone have left something. */
async function findingsOfBuilds(places: Places, mend: boolean): Promise<readonly StorageFinding[]> {
  const findings: StorageFinding[] = [];
  for (const { subject, finding, remove } of await buildLeftovers(places.state)) {
    if (mend) await remove();
    findings.push({ kind: "leftover", subject, finding, repair: "remove it", mended: mend, advice: null });
  }
  return findings;
}

/** Sockets that nobody listens on, files that name dead processes, half-written files. */
async function fileLeftovers(places: Places): Promise<readonly Leftover[]> {
  const found: Leftover[] = [];
  for (const path of [
    places.socket,
    ...["control", "admin", "master"].map((name) => join(places.run, "router", `${name}.sock`)),
  ]) {
    if (existsSync(path) && !(await answers(path))) found.push(fileLeftover(path, "a socket that nobody listens on"));
  }
  const stale = staleProcessFile(pidFile(places));
  if (stale !== undefined) found.push(stale);
  for (const folder of [places.state, join(places.state, "router")]) {
    for (const name of existsSync(folder) ? readdirSync(folder) : []) {
      if (/\.tmp$|^\.write-probe-\d+$/.test(name))
        found.push(fileLeftover(join(folder, name), "a file that was never finished"));
    }
  }
  return found;
}
