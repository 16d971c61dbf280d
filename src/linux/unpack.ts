import { lstat, rename, rm, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { diskTrouble } from "../errors/disk.ts";
import { OperatorError } from "../errors/operator-error.ts";
import { fromBytePath, parentOf, toBytePath, type BytePath } from "../image/tar-entry.ts";
import type { Digest } from "../model/canonical.ts";
import type { Blobs } from "../ports/store.ts";
import { hashLayer } from "./hash-file.ts";
import { failureOf, run, runOrFail } from "./process.ts";
import type { Syscalls } from "./syscalls.ts";

const opaqueMarker = ".wh..wh..opq";
const whiteoutPrefix = ".wh.";

/** Where a layer comes from, and what it must be. */
export interface LayerBlob {
  readonly blob: Digest;
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
}

/**
 * Unpacks a layer from its blob into an empty folder, verified before a byte of it is looked at.
 *
 * @param scratch folder on the same file system for the tar of a compressed blob; the caller removes it
 * @throws {OperatorError} `VERIFICATION_FAILED` when blob or layer are not what their digests say, `DISK_FULL`
 */
export async function unpackBlob(
  blobs: Pick<Blobs, "path">,
  layer: LayerBlob,
  { tree, scratch, syscalls }: { readonly tree: string; readonly scratch: string; readonly syscalls: Syscalls },
): Promise<void> {
  const blob = await blobs.path(layer.blob);
  const plainPath = join(scratch, "layer.tar");
  const hashed = await hashLayer(blob, plainPath).catch((cause: unknown) => {
    if (diskTrouble(cause) !== undefined) throw cause;
    throw lies(layer.blob, "its bytes cannot be decompressed", cause);
  });
  if (hashed.digest !== layer.blob) throw lies(layer.blob, `its bytes have the digest ${hashed.digest}`);
  if (hashed.plainDigest !== layer.diffId)
    throw lies(layer.blob, `decompressed it is ${hashed.plainDigest}, the image's config says ${layer.diffId}`);
  await unpackLayer(hashed.compressed ? plainPath : blob, tree, syscalls);
}

/**
 * Unpacks a layer's tar into an empty folder, whiteouts in overlayfs form, times as in the tar.
 *
 * GNU tar itself keeps members and links from leading out of the folder; attributes that overlayfs or a
 * security module would act on are not taken from the tar.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` for device nodes and what cannot be unpacked, `DISK_FULL`
 */
export async function unpackLayer(tarPath: string, tree: string, syscalls: Syscalls): Promise<void> {
  const startedAt = Math.floor(Date.now() / 1000) - 1;
  await extract(tarPath, tree);
  const found = await look(tree, startedAt);
  if (found.devices.length > 0)
    throw unfit(
      `it holds the device node "/${fromBytePath(found.devices[0]?.slice(toBytePath(tree).length + 1) ?? "")}"`,
    );
  for (const path of found.whiteouts) await applyWhiteout(path, tree, syscalls);
  // A folder that the tar does not list but has members in got the time of unpacking: equal tars must give equal bytes.
  for (const path of found.newFolders) await utimes(bytesOf(path), 0, 0).catch(unlessGone);
}

async function extract(tarPath: string, tree: string): Promise<void> {
  const args = [
    "--extract",
    "--file",
    tarPath,
    "--directory",
    tree,
    "--numeric-owner",
    "--same-owner",
    "--preserve-permissions",
    // A folder's members need not follow it at once: "a", "a-b", "a/c" is the order of their bytes.
    "--delay-directory-restore",
    "--xattrs",
    "--xattrs-include=user.*",
    "--xattrs-include=security.capability",
    "--warning=no-timestamp",
    "--warning=no-unknown-keyword",
  ];
  const env = { PATH: process.env["PATH"], LC_ALL: "C" };
  const result = await run("tar", args, { timeoutMs: 3_600_000, env });
  if (result.code === 0) return;
  const error = failureOf(`unpack a layer into ${tree}`, "tar", result);
  if (error.code !== "RUNTIME_FAILED" || result.code === null) throw error;
  throw unfit("its archive cannot be unpacked", error.cause);
}

interface Found {
  readonly whiteouts: readonly BytePath[];
  readonly devices: readonly BytePath[];
  /** Folders whose time is that of unpacking. */
  readonly newFolders: readonly BytePath[];
}

async function look(tree: string, startedAt: number): Promise<Found> {
  const print = (kind: string): readonly string[] => ["-printf", `${kind}%p\\0`];
  const whiteouts = ["-name", `${whiteoutPrefix}*`, ...print("w")];
  const devices = ["(", "-type", "b", "-o", "-type", "c", ")", ...print("x")];
  const newFolders = ["-type", "d", "-newermt", `@${startedAt}`, ...print("d")];
  const expression = [...whiteouts, "-o", ...devices, "-o", ...newFolders];
  const listed = await runOrFail(`look for whiteouts in ${tree}`, "find", [tree, ...expression], {
    timeoutMs: 600_000,
    mostOutputBytes: 64 * 1024 * 1024,
    encoding: "latin1",
  });
  const lines = listed.split("\0");
  const of = (kind: string): readonly BytePath[] =>
    lines.filter((line) => line.startsWith(kind)).map((line) => line.slice(1));
  return { whiteouts: of("w"), devices: of("x"), newFolders: of("d") };
}

async function applyWhiteout(path: BytePath, tree: string, syscalls: Syscalls): Promise<void> {
  const folder = parentOf(path);
  const before = await lstat(bytesOf(folder), { bigint: true }).catch(unlessGone);
  // It was below a whiteout that was a folder.
  if (before === undefined) return;
  const name = path.slice(folder.length + 1);
  await rm(bytesOf(path), { recursive: true, force: true });
  if (name === opaqueMarker) await makeOpaque(folder, tree, syscalls);
  else await hide(`${folder}/${name.slice(whiteoutPrefix.length)}`, tree, syscalls);
  await utimes(bytesOf(folder), Number(before.atimeNs) / 1e9, Number(before.mtimeNs) / 1e9);
}

async function hide(path: BytePath, tree: string, syscalls: Syscalls): Promise<void> {
  if ((await lstat(bytesOf(path)).catch(unlessGone)) !== undefined) return;
  // System calls take text: a name that is none gets its bytes by renaming.
  const made = join(dirname(tree), "whiteout");
  syscalls.makeWhiteout(made);
  await utimes(made, 0, 0);
  await rename(made, bytesOf(path));
}

async function makeOpaque(folder: BytePath, tree: string, syscalls: Syscalls): Promise<void> {
  const text = fromBytePath(folder);
  if (toBytePath(text) === folder) return syscalls.makeOpaque(text);
  const above = bytesOf(parentOf(folder));
  const times = await lstat(above);
  const aside = join(dirname(tree), "opaque");
  await rename(bytesOf(folder), aside);
  syscalls.makeOpaque(aside);
  await rename(aside, bytesOf(folder));
  await utimes(above, times.atimeMs / 1000, times.mtimeMs / 1000);
}

function bytesOf(path: BytePath): Buffer {
  return Buffer.from(path, "latin1");
}

function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
  throw error;
}

function unfit(state: string, cause?: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot use a layer: ${state}`, {
    hint: "build the image anew, or get it again from where it came from",
    cause,
  });
}

function lies(blob: Digest, finding: string, cause?: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot use layer ${blob}: ${finding}`, {
    hint: "the stored bytes are damaged or were replaced; import or build the artifact again",
    cause,
  });
}
