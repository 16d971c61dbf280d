import { rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readImageConfig } from "../drivers/runc/image-config.ts";
import type { StoredImage } from "../drivers/runc/layers.ts";
import { diskTrouble } from "../errors/disk.ts";
import { asOperatorError } from "../errors/operator-error.ts";
import type { EventData } from "../ledger/event.ts";
import type { LedgerState } from "../ledger/state.ts";
import type { StorageFinding, StorageReport } from "../model/api/storage.ts";
import { digestHex, type Digest } from "../model/canonical.ts";
import type { Places } from "../model/places.ts";
import { formatBytes } from "../model/quantities.ts";
import { freeBytes } from "../linux/disk.ts";
import type { Leftover } from "../drivers/runc/leftovers.ts";
import type { LocalStore } from "../store/local.ts";
import { hashPaced } from "./paced-hash.ts";

/** What is checked, and what can be done to it. */
export interface StorageParts {
  readonly store: LocalStore;
  readonly state: () => LedgerState;
  readonly imageFolder: string;
  readonly images: () => readonly StoredImage[];
  readonly leftovers: () => Promise<readonly Leftover[]>;
  /** What is wrong with the ledger's events, and whether the state is what they fold to. */
  readonly audit: () => Promise<{
    readonly damage: { readonly seq: number; readonly finding: string } | null;
    readonly equal: boolean;
  }>;
  readonly mending: {
    readonly record: (data: EventData) => void;
    readonly distrustImage: (diffId: Digest, finding: string) => Promise<void>;
    /** Makes what is missing of an artifact's images. */
    readonly prepare: (artifact: Digest) => Promise<void>;
    readonly refold: () => void;
  } | null;
  readonly signal: AbortSignal;
}

interface Trouble extends Omit<StorageFinding, "mended"> {
  /** Absent: nothing that this program could do. */
  readonly mend?: () => Promise<void>;
}

/** Bytes that differ, told as they are found. */
export interface DamagedFile {
  readonly kind: "blob" | "image";
  readonly digest: Digest;
  readonly path: string;
  /** What is wrong with its bytes, in words. */
  readonly finding: string;
}

/** Hashes all blobs and images. @param bytesPerSecond how fast; `Infinity` for as fast as it goes */
export async function hashStored(
  parts: Pick<StorageParts, "store" | "images" | "signal">,
  bytesPerSecond: number,
  onDamage: (damaged: DamagedFile) => Promise<void> | void,
): Promise<{ readonly files: number; readonly bytes: number }> {
  let files = 0;
  let bytes = 0;
  const check = async (kind: DamagedFile["kind"], digest: Digest, path: string, wanted: Digest): Promise<void> => {
    let finding: string;
    try {
      const hashed = await hashPaced(path, bytesPerSecond, parts.signal);
      bytes += hashed.bytes;
      finding = hashed.digest === wanted ? "" : `its bytes are ${hashed.digest}`;
    } catch (error) {
      // Gone meanwhile is not damaged: images are replaced, blobs set aside.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      if (diskTrouble(error) !== "EIO") throw error;
      finding = `it cannot be read: ${(error as Error).message}`;
    }
    files += 1;
    if (finding !== "") await onDamage({ kind, digest, path, finding });
  };
  for (const { digest, path } of await parts.store.blobs()) await check("blob", digest, path, digest);
  for (const { diffId, path, recorded } of parts.images())
    if (path.endsWith(".erofs")) await check("image", diffId, path, recorded);
  return { files, bytes };
}

/** Artifacts that something may be started from: what serves, what is warm, and what a rollback can reach. */
function neededArtifacts(state: LedgerState): ReadonlySet<Digest> {
  const needed = new Set<Digest>();
  for (const record of state.environments.values()) {
    for (const { content } of record.sets.values()) needed.add(content.artifact);
    const open = [...record.tasks.values()].filter(({ ended }) => ended === null).map(({ release }) => release);
    for (const number of [...open, ...(record.live === null ? [] : record.line)]) {
      const artifact = record.releases.get(number)?.content.artifact;
      if (artifact !== undefined) needed.add(artifact);
    }
  }
  return needed;
}

/** Sets a damaged blob aside, so that the store lacks it and a build or import brings it back. */
export async function setBlobAside(
  store: LocalStore,
  record: (data: EventData) => void,
  { digest, finding }: DamagedFile,
): Promise<void> {
  const path = await store.setAside(digest);
  record({ kind: "blob.damaged", digest, path, finding: `${finding}; set aside as ${path}` });
}

async function examine(
  parts: StorageParts,
): Promise<{ readonly troubles: readonly Trouble[]; readonly files: number; readonly bytes: number }> {
  const { store, mending } = parts;
  const troubles: Trouble[] = [];
  const { damage, equal } = await parts.audit();
  if (damage !== null) {
    troubles.push({
      kind: "ledger",
      subject: `event ${damage.seq}`,
      finding: damage.finding,
      repair: null,
      advice: `restore the ledger from a backup; or end the daemon, which goes on with what it has in memory, and drop what came later: \`bronze doctor --repair --keep-events ${damage.seq - 1}\``,
    });
  } else if (!equal) {
    troubles.push({
      kind: "projections",
      subject: "state",
      finding: "what the daemon derived differs from a fresh fold of the ledger",
      repair: "fold it anew",
      advice: null,
      ...(mending === null ? {} : { mend: async () => mending.refold() }),
    });
  }
  const hashed = await hashStored(parts, Number.POSITIVE_INFINITY, (damaged) => {
    const isBlob = damaged.kind === "blob";
    troubles.push({
      kind: damaged.kind,
      subject: damaged.digest,
      finding: `${damaged.path} is damaged: ${damaged.finding}`,
      repair: isBlob ? "set it aside" : "set it aside and make it anew from the verified layer",
      advice: isBlob ? "then bring it back: run the `bronze build` or `bronze import` that it came from again" : null,
      ...(mending === null
        ? {}
        : {
            mend: () =>
              isBlob
                ? setBlobAside(store, mending.record, damaged)
                : mending.distrustImage(damaged.digest, damaged.finding),
          }),
    });
  });
  for (const artifact of neededArtifacts(parts.state())) troubles.push(...(await missingOf(parts, artifact)));
  for (const { subject, finding, remove } of await parts.leftovers()) {
    troubles.push({
      kind: "leftover",
      subject,
      finding,
      repair: "remove it",
      advice: null,
      ...(mending === null ? {} : { mend: remove }),
    });
  }
  return { troubles, ...hashed };
}

/** Blobs that an artifact needs and the store lacks, and images of its layers that are not there. */
async function missingOf(parts: StorageParts, artifact: Digest): Promise<readonly Trouble[]> {
  const { store, imageFolder, mending } = parts;
  const lacks = (subject: Digest): Trouble => ({
    kind: "blob",
    subject,
    finding: `missing, needed by artifact ${artifact}`,
    repair: null,
    advice: "bring it back: run the `bronze build` or `bronze import` that it came from again",
  });
  let layers: Awaited<ReturnType<typeof readImageConfig>>["layers"];
  try {
    ({ layers } = await readImageConfig(store, artifact));
  } catch (error) {
    return [{ ...lacks(artifact), finding: asOperatorError(error).message }];
  }
  const troubles: Trouble[] = [];
  for (const { blob, diffId } of layers) {
    if ((await store.stat(blob)) === undefined) troubles.push(lacks(blob));
    const path = join(imageFolder, digestHex(diffId));
    if (existsSync(`${path}.erofs`) || existsSync(`${path}.tree`)) continue;
    troubles.push({
      kind: "image",
      subject: diffId,
      finding: `the image of a layer of artifact ${artifact} is missing`,
      repair: "make it anew from the verified layer",
      advice: null,
      ...(mending === null ? {} : { mend: () => mending.prepare(artifact) }),
    });
  }
  return troubles;
}

/**
 * Looks at everything that is stored; with `mend`, mends what can be mended and looks again.
 *
 * @param progress told in words what is done
 */
export async function checkStorage(
  parts: StorageParts,
  mend: boolean,
  progress: (text: string) => void,
): Promise<StorageReport> {
  const first = await examine(parts);
  const findings: StorageFinding[] = [];
  for (const { mend: act, ...trouble } of first.troubles) {
    let mended = false;
    let { advice } = trouble;
    if (mend && act !== undefined) {
      try {
        await act();
        mended = true;
        progress(`${trouble.subject}: ${trouble.repair ?? "mended"}`);
      } catch (error) {
        advice = asOperatorError(error).message;
      }
    }
    findings.push({ ...trouble, advice, mended });
  }
  if (!mend || findings.length === 0) return report(parts, first, findings);
  // What was taken away may be needed, and images are made again only now that they are known to be missing.
  const second = await examine(parts);
  for (const { mend: act, ...trouble } of second.troubles) {
    let mended = false;
    let { advice } = trouble;
    try {
      await act?.();
      mended = act !== undefined;
      if (mended) progress(`${trouble.subject}: ${trouble.repair ?? "mended"}`);
    } catch (error) {
      advice = asOperatorError(error).message;
    }
    const before = findings.findIndex(({ kind, subject }) => kind === trouble.kind && subject === trouble.subject);
    if (before >= 0) findings.splice(before, 1);
    findings.push({ ...trouble, advice, mended });
  }
  return report(parts, second, findings);
}

function report(
  parts: StorageParts,
  { files, bytes }: { readonly files: number; readonly bytes: number },
  findings: readonly StorageFinding[],
): StorageReport {
  const ok = findings.every(({ kind, mended }) => mended || kind === "leftover");
  return { ok, files, bytes, events: parts.state().seq, findings };
}

/** Removes a file, as a leftover. */
export function fileLeftover(path: string, finding: string): Leftover {
  return { subject: path, finding, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Less room than this is worth a word: a deploy needs some, and its images more. */
const littleBytes = 64 * 2 ** 20;

/** What a person should know of disk and stored bytes, for `status`. */
export function storageWarnings(
  places: Places,
  store: LocalStore,
  state: LedgerState,
  ledger: { readonly isReserveWhole: boolean; readonly ledgerDamage: string | null },
): readonly string[] {
  const warnings: string[] = [];
  if (ledger.ledgerDamage !== null)
    warnings.push(`the ledger on disk is damaged: ${ledger.ledgerDamage}; see \`bronze doctor\``);
  const free = freeBytes(places.state);
  if (free !== undefined && free < littleBytes)
    warnings.push(`the disk of ${places.state} is nearly full: ${formatBytes(free)} free`);
  if (!ledger.isReserveWhole)
    warnings.push("the ledger's reserve is used, which is for rollbacks on a full disk: make room on the disk");
  for (const digest of state.damagedBlobs.keys()) {
    if (!store.has(digest))
      warnings.push(
        `blob ${digest} was damaged and is set aside: run the \`bronze build\` or \`bronze import\` that it came from again`,
      );
  }
  return warnings;
}
