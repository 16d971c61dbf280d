import { copyFileSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { diskError, OperatorError } from "../../errors/operator-error.ts";
import { isBtrfs, isSubvolume, removeSubvolume, snapshotSubvolume } from "../../linux/btrfs.ts";
import { freeBytes } from "../../linux/disk.ts";
import { readText } from "../../linux/files.ts";
import { jailed } from "../../linux/jail.ts";
import { failureOf, run, runOrFail } from "../../linux/process.ts";
import { formatBytes } from "../../model/quantities.ts";
import type { CopyWay, VolumeWork } from "../../ports/volumes.ts";

const noLimit = { timeoutMs: 0 } as const;
const plainWords = { ...process.env, LC_ALL: "C" };
const progressMs = 1_000;

/** What new volumes in a folder are copied by: found out by trying. */
export function wayIn(folder: string): CopyWay {
  if (isBtrfs(folder)) return "subvolume";
  const probe = mkdtempSync(join(folder, ".probe-"));
  try {
    // An empty file can be cloned anywhere.
    writeFileSync(join(probe, "a"), Buffer.alloc(4096, 1));
    copyFileSync(join(probe, "a"), join(probe, "b"), constants.COPYFILE_FICLONE_FORCE);
    return "reflink";
  } catch {
    return "copy";
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

/** What this very folder is copied by: one that was moved here from elsewhere may be no subvolume. */
export function wayOf(data: string, here: CopyWay): CopyWay {
  if (here !== "subvolume") return here;
  return isSubvolume(data) ? "subvolume" : "reflink";
}

/**
 * Copies a volume's folder with owners, times, links and attributes to a place where nothing is. It is on disk when
 * this resolves.
 *
 * @param frozen whether the copy is never to change
 * @throws {OperatorError} `DISK_FULL`, before anything is copied where that can be known
 */
export async function copyTree(
  from: string,
  to: string,
  way: CopyWay,
  frozen: boolean,
  { signal, progress }: VolumeWork,
): Promise<void> {
  signal.throwIfAborted();
  if (way === "subvolume") return snapshotSubvolume(from, to, frozen);
  const total = way === "copy" ? await usedBytes(from, signal) : undefined;
  const free = freeBytes(join(to, ".."));
  if (total !== undefined && free !== undefined && total > free)
    throw diskError("ENOSPC", `copy "${from}"`, free, `${formatBytes(total)} are to be copied`);
  let stop = (): void => {};
  const follow = (pid: number): void => {
    if (total === undefined || progress === undefined) return;
    const timer = setInterval(() => {
      const written = Number(/^wchar: (\d+)$/m.exec(readText(`/proc/${pid}/io`) ?? "")?.[1] ?? 0);
      progress(`copied ${formatBytes(Math.min(written, total))} of ${formatBytes(total)}`);
    }, progressMs);
    stop = () => clearInterval(timer);
  };
  // It ends with its daemon: what that leaves half-made is removed, and must not go on to grow.
  const reflink = `--reflink=${way === "copy" ? "never" : "auto"}`;
  // An app may change its volume while it is copied: whatever it puts in a folder's place, cp sees nothing beyond.
  const top = commonFolder(from, to);
  const copy = ["cp", "--archive", "--one-file-system", reflink, "--", `${relative(top, from)}/.`, relative(top, to)];
  const args = ["--pdeathsig=KILL", "perl", ...jailed(top, copy)];
  const result = await run("setpriv", args, {
    ...noLimit,
    signal,
    env: plainWords,
    givesWay: true,
    onPid: follow,
  }).finally(() => stop());
  signal.throwIfAborted();
  // What an app removes while it is copied was not there.
  const others = result.stderr
    .split("\n")
    .filter(
      (line) =>
        line !== "" && !/No such file or directory$|Not a directory$|as it was replaced while being copied$/.test(line),
    );
  if (result.code !== 0 && (others.length > 0 || result.cut || result.stderr === ""))
    throw failureOf(`copy "${from}"`, "cp", { ...result, stderr: others.slice(0, 20).join("\n") });
  if (frozen) await setFrozen(to, true);
  await runOrFail(`write "${to}" to disk`, "sync", ["--file-system", to], noLimit);
}

/** The folder closest to two paths that both are below. */
function commonFolder(a: string, b: string): string {
  let folder = dirname(a);
  while (!`${b}/`.startsWith(`${folder}/`)) folder = dirname(folder);
  return folder;
}

/** Marks all files and folders so that not even root changes them. @returns false where the file system has no such mark */
export async function setFrozen(path: string, on: boolean): Promise<boolean> {
  const kinds = ["(", "-type", "f", "-o", "-type", "d", ")"];
  const { code } = await run(
    "find",
    [path, "-xdev", ...kinds, "-exec", "chattr", "-f", on ? "+i" : "-i", "{}", "+"],
    noLimit,
  );
  return code === 0;
}

/** Removes a folder with what may be in it: subvolumes, and what was marked never to change. */
export async function removeTree(path: string): Promise<void> {
  if (isBtrfs(join(path, ".."))) {
    // Top down: what an app made inside of its own is found once that cannot go as a whole.
    const { stdout } = await run("find", [path, "-xdev", "-inum", "256", "-type", "d", "-print0"], noLimit);
    for (const folder of stdout.split("\0").filter((text) => text !== ""))
      if (isSubvolume(folder) && !(await removeSubvolume(folder))) await emptied(folder);
  }
  await setFrozen(path, false);
  await rm(path, { recursive: true, force: true });
}

/** Removes a subvolume with others inside. */
async function emptied(folder: string): Promise<void> {
  await runOrFail(`remove "${folder}"`, "rm", ["--recursive", "--force", "--", folder], noLimit);
}

/** Bytes that a folder takes on its disk. */
export async function usedBytes(folder: string, signal?: AbortSignal, timeoutMs = 0): Promise<number> {
  const args = ["--summarize", "--one-file-system", "--block-size=1", folder];
  const { stdout, code } = await run("du", args, { timeoutMs, ...(signal === undefined ? {} : { signal }) });
  const bytes = /^\d+/.exec(stdout)?.[0];
  if (bytes !== undefined && code !== null) return Number(bytes);
  throw new OperatorError("MACHINE_REFUSED", `Cannot count the bytes of "${folder}"`, {
    hint: "look whether its disk can be read",
  });
}
