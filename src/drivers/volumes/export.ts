import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { orDiskError } from "../../linux/disk.ts";
import { failureOf } from "../../linux/process.ts";
import type { StoredVolume, VolumeWork } from "../../ports/volumes.ts";
import { copyTree, removeTree, usedBytes } from "./copy.ts";
import { abandoned, dataFolder, snapshotFolder, temporaryName } from "./layout.ts";

/** What is exported, and how sure it is that it is of one moment. */
export interface Exported {
  readonly tar: Readable;
  /** Bytes that the volume takes on its disk: about as many as come. */
  readonly aboutBytes: number;
  /** It is read while it may be written to: files may be from different moments. */
  readonly live: boolean;
}

/**
 * A volume, or a snapshot of it, as a tar: owners by number, links, holes, attributes; names sorted. Without a snapshot it is
 * of one moment where that costs nothing, by a snapshot that is gone afterwards.
 *
 * @throws {OperatorError} `DISK_FULL`; the tar ends with an error when something could not be read
 */
export async function exportVolume<Result>(
  volume: StoredVolume,
  snapshot: string | null,
  work: VolumeWork,
  use: (exported: Exported) => Promise<Result>,
): Promise<Result> {
  const snapshots = join(dirname(volume.path), snapshotFolder);
  if (snapshot !== null) return use(await opened(join(snapshots, snapshot, dataFolder), false, work.signal));
  if (volume.way === "copy") return use(await opened(volume.path, true, work.signal));
  for (const left of abandoned(snapshots)) await removeTree(left);
  const place = join(snapshots, temporaryName("making", randomBytes(4).toString("hex")));
  try {
    await mkdir(place, { mode: 0o700 });
    await copyTree(volume.path, join(place, dataFolder), volume.way, false, work);
    return await use(await opened(join(place, dataFolder), false, work.signal));
  } catch (error) {
    throw orDiskError(error, `export "${volume.path}"`, snapshots);
  } finally {
    await removeTree(place);
  }
}

async function opened(folder: string, live: boolean, signal: AbortSignal): Promise<Exported> {
  const aboutBytes = await usedBytes(folder, signal);
  return { tar: Readable.from(packed(folder, live, signal), { objectMode: false }), aboutBytes, live };
}

const tarArguments = [
  "--create",
  "--file=-",
  "--sort=name",
  "--format=posix",
  "--pax-option=delete=atime,delete=ctime",
  "--numeric-owner",
  "--xattrs",
  "--xattrs-include=*",
  "--sparse",
  "--one-file-system",
];
/** What tar ends with when files changed while it read them. */
const changed = 1;
const mostErrorBytes = 8_192;

/** Ends well only when tar does: what is cut short is never taken for whole. */
async function* packed(folder: string, live: boolean, signal: AbortSignal): AsyncGenerator<Buffer> {
  const child = spawn("tar", [...tarArguments, `--directory=${folder}`, "."], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, LC_ALL: "C" },
    signal,
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-mostErrorBytes)));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  ended.catch(() => {});
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const code = await ended;
    if (code !== 0 && !(live && code === changed))
      throw failureOf(`pack "${folder}"`, "tar", { code, stdout: "", stderr, cut: false });
  } finally {
    child.kill("SIGKILL");
  }
}
