import { closeSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { TarEntry } from "../../image/tar-entry.ts";
import { mostUnpackedBytes, readTar, type TarMember } from "../../image/tar-read.ts";
import { runCommand } from "../command.ts";
import { seekableBytes } from "../layer/seekable.ts";
import { noPackage, splitDeb } from "./deb.ts";
import type { PinnedPackage } from "./pins.ts";
import { parseStanzas } from "./stanza.ts";

/** A file of a package, and where its bytes lie. */
export interface PackageMember {
  readonly entry: TarEntry;
  readonly spool: Spool;
  readonly offset: number;
}

/** A package taken apart. */
export interface UnpackedPackage {
  readonly pin: PinnedPackage;
  /** Files about the package: `control`, `md5sums`, `postinst`, …; as bytes, one character a byte. */
  readonly control: ReadonlyMap<string, string>;
  readonly members: readonly PackageMember[];
}

/** A file that has no name any more, so that nothing of it stays whatever happens: its descriptor. */
export type Spool = number;

const aptHelper = "/usr/lib/apt/apt-helper";
const pieceBytes = 1 << 20;
const shared = Buffer.allocUnsafeSlow(pieceBytes);
const mostControlBytes = 64 * 2 ** 20;
/** Starting a program costs as much as unpacking a small package: several go through one. */
const batchesPerProcessor = 4;

export interface UnpackOptions {
  /** The file of a package; it is hashed before it is read. */
  readonly pathOf: (item: PinnedPackage) => string;
  /** An empty folder. */
  readonly dir: string;
  readonly signal: AbortSignal;
  /** `control`: without the files that are to be installed. */
  readonly parts: "all" | "control";
}

/**
 * Takes packages apart and hands them over as long as `use` runs, as many at once as there are processors.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` for a file whose bytes are not the pinned ones or that is no package
 */
export async function withUnpacked<Result>(
  packages: readonly PinnedPackage[],
  options: UnpackOptions,
  use: (unpacked: readonly UnpackedPackage[]) => Promise<Result>,
): Promise<Result> {
  const spools: Spool[] = [];
  const processors = availableParallelism();
  try {
    const waiting = batchesOf(packages, processors * batchesPerProcessor);
    const unpacked = new Map<PinnedPackage, UnpackedPackage>();
    const worker = async (number: number): Promise<void> => {
      const spool = openSpool(join(options.dir, `spool-${number}`));
      spools.push(spool);
      try {
        for (let batch = waiting.pop(); batch !== undefined; batch = waiting.pop())
          for (const item of await unpackBatch(batch, spool, options)) unpacked.set(item.pin, item);
      } finally {
        // Where one fails the others need not begin with more.
        waiting.length = 0;
      }
    };
    const results = await Promise.allSettled(Array.from({ length: processors }, (_, i) => worker(i)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return await use(packages.flatMap((item) => unpacked.get(item) ?? []));
  } finally {
    for (const spool of spools) closeSync(spool);
  }
}

/** @param path of the file for the moment until its name is gone */
export function openSpool(path: string): Spool {
  const file = openSync(path, "wx+", 0o600);
  rmSync(path);
  return file;
}

/** Shares packages out by size, so that none of the processors ends long after the others. */
function batchesOf(packages: readonly PinnedPackage[], count: number): PinnedPackage[][] {
  const most = packages.reduce((sum, item) => sum + item.sizeBytes, 0) / count;
  const batches: PinnedPackage[][] = [];
  let size = Infinity;
  for (const item of [...packages].sort((a, b) => a.sizeBytes - b.sizeBytes)) {
    if (size + item.sizeBytes > most) {
      batches.push([]);
      size = 0;
    }
    batches.at(-1)?.push(item);
    size += item.sizeBytes;
  }
  return batches;
}

async function unpackBatch(
  pins: readonly PinnedPackage[],
  spool: Spool,
  options: UnpackOptions,
): Promise<readonly UnpackedPackage[]> {
  const { pathOf, dir, signal, parts } = options;
  const files = pins.map((pin) => splitDeb(pin, pathOf(pin), join(dir, pin.sha256)));
  const archives = files.flatMap(({ control, data }) => (parts === "control" ? [control] : [control, data]));
  const from = fstatSync(spool).size;
  const most = pins.reduce((sum, pin) => sum + mostControlBytes + mostUnpackedBytes(pin.sizeBytes), from);
  // apt's own decompressor for all that packages use; each package after the other goes into the spool.
  const { status, stderr } = await runCommand(aptHelper, ["cat-file", ...archives], {
    signal,
    timeoutMs: 10 * 60_000,
    stdoutTo: spool,
    mostFileBytes: most,
  });
  for (const { control, data } of files) for (const path of [control, data]) rmSync(path);
  if (status !== 0) {
    const [first, ...others] = pins;
    if (first !== undefined && others.length === 0) throw noPackage(first, stderr.trim().slice(-2000));
    // One by one, to tell which of them it is.
    const found: UnpackedPackage[] = [];
    for (const pin of pins) found.push(...(await unpackBatch([pin], spool, options)));
    return found;
  }
  const unpacked: UnpackedPackage[] = [];
  let at = from;
  for (const pin of pins) {
    const control = new Map<string, string>();
    at = await readArchive(spool, at, async ({ entry, content }) => {
      if (entry.kind !== "file") return;
      const pieces: Buffer[] = [];
      for await (const piece of content()) pieces.push(piece);
      control.set(entry.path, Buffer.concat(pieces).toString("latin1"));
    });
    const fields = parseStanzas(control.get("control") ?? "")[0];
    if (fields?.get("package") !== pin.name || fields.get("version") !== pin.version) throw noPackage(pin);
    const members: PackageMember[] = [];
    if (parts === "all")
      at = await readArchive(spool, at, ({ entry, offset }) => void members.push({ entry, spool, offset }));
    unpacked.push({ pin, control, members });
  }
  return unpacked;
}

/** Reads the archive that begins at an offset. @returns where the next one may begin */
export async function readArchive(
  spool: Spool,
  from: number,
  take: (member: TarMember) => Promise<void> | void,
): Promise<number> {
  const members = readTar(seekableBytes(spool, from));
  for (;;) {
    const next = await members.next();
    if (next.done === true) return skipZeros(spool, from + (next.value ?? 0));
    const { value } = next;
    await take({ ...value, offset: from + value.offset });
  }
}

function skipZeros(spool: Spool, from: number): number {
  for (let at = from; ; at += 512) {
    const count = readSync(spool, shared, 0, 512, at);
    if (count === 0 || shared.subarray(0, count).some((byte) => byte !== 0)) return at;
  }
}

/** The bytes of a member, in pieces that are only valid until the next one is asked for. */
export function* readMember({ entry, spool, offset }: PackageMember): Generator<Uint8Array> {
  for (let done = 0; done < entry.size;) {
    const count = readSync(spool, shared, 0, Math.min(entry.size - done, pieceBytes), offset + done);
    if (count === 0) return;
    done += count;
    yield shared.subarray(0, count);
  }
}
