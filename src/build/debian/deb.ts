import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readSync, rmSync, writeSync } from "node:fs";
import { OperatorError } from "../../errors/operator-error.ts";
import type { PinnedPackage } from "./pins.ts";

/** The two archives in a package, as files of their own. */
export interface DebParts {
  readonly control: string;
  readonly data: string;
}

const magic = "!<arch>\n";
const headerBytes = 60;
const pieceBytes = 1 << 20;
const piece = Buffer.allocUnsafeSlow(pieceBytes);
const archiveName = /^(control|data)\.tar(\.(?:gz|xz|zst|bz2|lzma))?$/;

/**
 * Copies the archives out of a package, after its hash is known to be the pinned one.
 *
 * @param target the beginning of the new files' paths; their ends tell how they are compressed
 * @throws {OperatorError} `VERIFICATION_FAILED` for other bytes than the pinned ones, or what is no package
 * @see deb(5)
 */
export function splitDeb(pin: PinnedPackage, path: string, target: string): DebParts {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    verify(pin, path, file);
    const parts: { control?: string; data?: string } = {};
    const header = Buffer.alloc(headerBytes);
    let at = magic.length;
    if (readSync(file, header, 0, at, 0) !== at || header.toString("latin1", 0, at) !== magic) throw noPackage(pin);
    while (at < pin.sizeBytes) {
      if (readSync(file, header, 0, headerBytes, at) !== headerBytes) throw noPackage(pin);
      const name = header.toString("latin1", 0, 16).trimEnd().replace(/\/$/, "");
      const digits = header.toString("latin1", 48, 58).trimEnd();
      const size = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : Number.NaN;
      at += headerBytes;
      if (header.toString("latin1", 58) !== "`\n" || !(at + size <= pin.sizeBytes)) throw noPackage(pin);
      const [, which, suffix] = archiveName.exec(name) ?? [];
      if (which === "control" || which === "data") {
        const copy = `${target}.${which}.tar${suffix ?? ""}`;
        if (parts[which] !== undefined) throw noPackage(pin);
        copyRange(file, at, size, copy);
        parts[which] = copy;
      }
      at += size + (size % 2);
    }
    if (parts.control === undefined || parts.data === undefined) throw noPackage(pin);
    return { control: parts.control, data: parts.data };
  } finally {
    closeSync(file);
  }
}

function verify(pin: PinnedPackage, path: string, file: number): void {
  const hash = createHash("sha256");
  for (let at = 0; ;) {
    const count = readSync(file, piece, 0, pieceBytes, at);
    if (count === 0) break;
    hash.update(piece.subarray(0, count));
    at += count;
  }
  if (hash.digest("hex") === pin.sha256) return;
  // Whoever reads it next fetches it anew.
  rmSync(path);
  throw new OperatorError("VERIFICATION_FAILED", `Cannot use ${pin.name} ${pin.version}: "${path}" was damaged`, {
    hint: "build again: it was deleted, and is fetched anew",
  });
}

function copyRange(file: number, from: number, size: number, path: string): void {
  const copy = openSync(path, "wx", 0o600);
  try {
    for (let done = 0; done < size;) {
      const count = readSync(file, piece, 0, Math.min(size - done, pieceBytes), from + done);
      if (count === 0) return;
      for (let written = 0; written < count;) written += writeSync(copy, piece, written, count - written);
      done += count;
    }
  } finally {
    closeSync(copy);
  }
}

export function noPackage(pin: PinnedPackage, cause?: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot unpack ${pin.name} ${pin.version}: it is no Debian package`, {
    hint: "it is broken in the archive itself: take another version of it, or leave it out",
    cause,
  });
}
