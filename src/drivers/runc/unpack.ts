import { lstat, rm, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { runOrFail } from "./process.ts";
import type { Syscalls } from "./syscalls.ts";

const opaqueMarker = ".wh..wh..opq";
const whiteoutPrefix = ".wh.";

/**
 * Unpacks a layer's tar into an empty folder, whiteouts in overlayfs form, times as in the tar.
 *
 * GNU tar itself keeps members and links from leading out of the folder; attributes that overlayfs or a
 * security module would act on are not taken from the tar.
 */
export async function unpackLayer(tarPath: string, tree: string, syscalls: Syscalls): Promise<void> {
  const startedAt = Math.floor(Date.now() / 1000) - 1;
  await runOrFail(
    `unpack a layer into ${tree}`,
    "tar",
    [
      "--extract",
      "--file",
      tarPath,
      "--directory",
      tree,
      "--numeric-owner",
      "--same-owner",
      "--preserve-permissions",
      "--xattrs",
      "--xattrs-include=user.*",
      "--xattrs-include=security.capability",
      "--warning=no-timestamp",
      "--warning=no-unknown-keyword",
    ],
    { timeoutMs: 3_600_000, env: { PATH: process.env["PATH"], LC_ALL: "C" } },
  );
  const listed = await runOrFail(
    `look for whiteouts in ${tree}`,
    "find",
    [
      tree,
      "-name",
      `${whiteoutPrefix}*`,
      "-printf",
      "w%p\\0",
      "-o",
      "-type",
      "d",
      "-newermt",
      `@${startedAt}`,
      "-printf",
      "d%p\\0",
    ],
    { timeoutMs: 600_000, mostOutputBytes: 64 * 1024 * 1024 },
  );
  const found = listed.split("\0").filter((line) => line !== "");
  const paths = (kind: string): readonly string[] =>
    found.filter((line) => line.startsWith(kind)).map((line) => line.slice(1));
  for (const path of paths("w")) await applyWhiteout(path, syscalls);
  // A folder that the tar does not list but has members in got the time of unpacking: equal tars must give equal bytes.
  for (const path of paths("d")) await utimes(path, 0, 0);
}

async function applyWhiteout(path: string, syscalls: Syscalls): Promise<void> {
  const folder = dirname(path);
  const before = await lstat(folder, { bigint: true });
  await rm(path, { recursive: true, force: true });
  if (basename(path) === opaqueMarker) syscalls.makeOpaque(folder);
  else {
    const hidden = join(folder, basename(path).slice(whiteoutPrefix.length));
    if ((await lstat(hidden).catch(() => undefined)) === undefined) {
      syscalls.makeWhiteout(hidden);
      await utimes(hidden, 0, 0);
    }
  }
  await utimes(folder, Number(before.atimeNs) / 1e9, Number(before.mtimeNs) / 1e9);
}
