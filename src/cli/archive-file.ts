import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { diskTrouble } from "../errors/disk.ts";
import { diskError, OperatorError } from "../errors/operator-error.ts";

/**
 * Writes bytes to a file, or to standard output for `-`. The file is whole or as before, also after a crash; what is no
 * regular file, such as a device, is written to as it is.
 *
 * @returns how many bytes
 * @throws {OperatorError} `DISK_FULL`, `MACHINE_REFUSED`, `ARGUMENT_INVALID` for a folder
 */
export async function writeArchive(bytes: Readable, output: string, signal: AbortSignal): Promise<number> {
  let size = 0;
  bytes.on("data", (piece: Buffer) => (size += piece.byteLength));
  bytes.pause();
  if (output === "-") {
    await pipeline(bytes, process.stdout, { signal, end: false });
    return size;
  }
  const path = resolve(output);
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() === true)
    throw new OperatorError("ARGUMENT_INVALID", `Cannot write "${output}": it is a folder`, {
      hint: "name a file in it",
    });
  if (there !== undefined && !there.isFile()) {
    await pipeline(bytes, createWriteStream(path, { flags: "w" }), { signal });
    return size;
  }
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString("hex")}`);
  try {
    await pipeline(bytes, createWriteStream(temporary, { flags: "wx", mode: 0o644, flush: true }), { signal });
    await rename(temporary, path);
    const folder = await open(dirname(path));
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    return size;
  } catch (error) {
    await rm(temporary, { force: true });
    if (error instanceof OperatorError) throw error;
    signal.throwIfAborted();
    const trouble = diskTrouble(error);
    if (trouble !== undefined) throw diskError(trouble, `write "${output}"`, undefined, error);
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new OperatorError("NOT_FOUND", `Cannot write "${output}": there is no such folder`, {
        hint: "make it first",
      });
    throw error;
  }
}
