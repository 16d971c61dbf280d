import { closeSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { TarEntry } from "../../image/tar-entry.ts";
import { mostUnpackedBytes, readTar } from "../../image/tar-read.ts";
import { runCommand } from "../command.ts";
import { hashOf } from "./deb-cache.ts";
import type { PinnedPackage } from "./pins.ts";

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

const pieceBytes = 1 << 20;
const shared = Buffer.allocUnsafeSlow(pieceBytes);
const mostControlBytes = 64 * 2 ** 20;

/**
 * Takes packages apart and hands them over as long as `use` runs, as many at once as there are processors.
 *
 * @param pathOf the file of a package; it is hashed before it is read
 * @throws {OperatorError} `VERIFICATION_FAILED` for a file whose bytes are not the pinned ones or that is no package
 */
export async function withUnpacked<Result>(
  packages: readonly PinnedPackage[],
  pathOf: (item: PinnedPackage) => string,
  dir: string,
  signal: AbortSignal,
  use: (unpacked: readonly UnpackedPackage[]) => Promise<Result>,
): Promise<Result> {
  const spools: Spool[] = [];
  try {
    // The largest first, so that none of the processors ends long after the others.
    const waiting = [...packages.entries()].sort(([, a], [, b]) => a.sizeBytes - b.sizeBytes);
    const unpacked: UnpackedPackage[] = [];
    const worker = async (number: number): Promise<void> => {
      const file = openSpool(join(dir, `spool-${number}`));
      spools.push(file);
      try {
        for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
          unpacked[next[0]] = await unpack(next[1], pathOf(next[1]), file, signal);
      } finally {
        // Where one fails the others need not begin with more.
        waiting.length = 0;
      }
    };
    const results = await Promise.allSettled(Array.from({ length: availableParallelism() + 1 }, (_, i) => worker(i)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return await use(unpacked);
  } finally {
    for (const file of spools) closeSync(file);
  }
}

function openSpool(path: string): Spool {
  const file = openSync(path, "wx+", 0o600);
  rmSync(path);
  return file;
}

async function unpack(pin: PinnedPackage, path: string, spool: Spool, signal: AbortSignal): Promise<UnpackedPackage> {
  if ((await hashOf(path)) !== pin.sha256)
    throw new OperatorError("VERIFICATION_FAILED", `Cannot use ${pin.name} ${pin.version}: "${path}" is damaged`, {
      hint: "delete that file and build again: it is fetched anew",
    });
  const control = new Map<string, string>();
  const area = await extract(pin, path, "--ctrl-tarfile", mostControlBytes, spool, signal);
  for await (const { entry, content } of readTar(readArea(spool, area))) {
    if (entry.kind !== "file") continue;
    const pieces: Buffer[] = [];
    for await (const piece of content()) pieces.push(piece);
    control.set(entry.path, Buffer.concat(pieces).toString("latin1"));
  }
  const members: PackageMember[] = [];
  const data = await extract(pin, path, "--fsys-tarfile", mostUnpackedBytes(pin.sizeBytes), spool, signal);
  for await (const { entry, offset } of readTar(readArea(spool, data)))
    members.push({ entry, spool, offset: data.from + offset });
  return { pin, control, members };
}

interface Area {
  readonly from: number;
  readonly size: number;
}

/** Appends one of a package's two archives to a spool. */
async function extract(
  pin: PinnedPackage,
  path: string,
  which: "--ctrl-tarfile" | "--fsys-tarfile",
  mostBytes: number,
  spool: Spool,
  signal: AbortSignal,
): Promise<Area> {
  const from = fstatSync(spool).size;
  const { status, stderr } = await runCommand(
    "prlimit",
    [`--fsize=${from + mostBytes}`, "--", "dpkg-deb", which, path],
    { signal, timeoutMs: 10 * 60_000, stdoutTo: spool },
  );
  if (status === 0) return { from, size: fstatSync(spool).size - from };
  throw new OperatorError("VERIFICATION_FAILED", `Cannot unpack ${pin.name} ${pin.version}: it is no package`, {
    hint: "the package is broken in the archive: take another version, or leave it out",
    cause: stderr.trim().slice(-2000),
  });
}

async function* readArea(spool: Spool, { from, size }: Area): AsyncGenerator<Buffer> {
  for (let done = 0; done < size;) {
    const piece = Buffer.allocUnsafe(Math.min(size - done, pieceBytes));
    const count = readSync(spool, piece, 0, piece.byteLength, from + done);
    if (count === 0) return;
    done += count;
    yield piece.subarray(0, count);
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
