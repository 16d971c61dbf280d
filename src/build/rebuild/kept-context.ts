import { createHash } from "node:crypto";
import { chmod, copyFile, link, lstat, mkdir, open, rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { layerCompression, mediaTypes } from "../../image/media-types.ts";
import { parseManifest } from "../../image/oci.ts";
import { readTar, type TarMember } from "../../image/tar-read.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Blobs, Descriptor } from "../../ports/store.ts";
import { layerTar } from "../layer/blob.ts";
import { readContextList, type ContextRow } from "../evidence/context-list.ts";
import type { RebuildPlan } from "./plan.ts";

const mostListBytes = 256 * 2 ** 20;

/**
 * Puts the files that a build used where they were: out of what was kept beside the artifact, and out of its layers. Each
 * content is the one that its sha256 names.
 *
 * @param dir an empty folder
 * @throws {OperatorError} `NOT_FOUND` for what the store lacks, `VERIFICATION_FAILED`
 */
export async function restoreContext(
  artifact: Digest,
  { digest, kept }: RebuildPlan["context"],
  dir: string,
  blobs: Blobs,
): Promise<void> {
  const rows = readContextList(await blobs.read(digest, mostListBytes));
  if (typeof rows === "string" || kept === null)
    throw new OperatorError(
      "VERIFICATION_FAILED",
      `Cannot read the list of the files it was made of: ${String(rows)}`,
      {
        hint: "a newer Bronze may have built it; use that one",
      },
    );
  const files = rows.filter((row) => row[0] === "file");
  const pool = `${dir}.contents`;
  await mkdir(pool, { mode: 0o700 });
  try {
    const { layers } = parseManifest(await blobs.read(artifact));
    const archives: readonly Descriptor[] = [
      ...(kept.contents === undefined ? [] : [plain(kept.contents)]),
      ...kept.layers.map(plain),
      ...layers.filter(({ mediaType }) => layerCompression(mediaType) !== undefined),
    ];
    await gather(files, archives, pool, blobs);
    await place(rows, pool, dir);
  } finally {
    await rm(pool, { recursive: true, force: true });
  }
}

function plain(digest: Digest): Descriptor {
  return { mediaType: mediaTypes.layer, digest, size: 0 };
}

type FileRow = Extract<ContextRow, readonly ["file", ...unknown[]]>;

/** Brings the contents of files into a folder, each under its sha256. */
async function gather(
  files: readonly FileRow[],
  archives: readonly Descriptor[],
  pool: string,
  blobs: Blobs,
): Promise<void> {
  const wanted = new Map(files.map(([, path, content]) => [content, path]));
  const sizes = new Set(files.map(([, , , size]) => size));
  for (const archive of archives) {
    if (wanted.size === 0) return;
    for await (const member of readTar(layerTar(blobs, archive))) {
      if (member.entry.kind !== "file" || !sizes.has(member.entry.size)) continue;
      const content = await take(member, pool);
      if (wanted.delete(content)) await rename(join(pool, "next"), join(pool, content));
      if (wanted.size === 0) return;
    }
  }
  const [path] = wanted.values();
  if (path === undefined) return;
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot make it again: nobody has the content of "${path.slice(0, 200)}" any more`,
    {
      hint: "it was kept beside the artifact; bring it with `bronze pull` or `bronze import` from where it was sent",
    },
  );
}

/** Writes a member to `next` of a folder. @returns sha256 in hex */
async function take({ content }: TarMember, pool: string): Promise<string> {
  const sum = createHash("sha256");
  const file = await open(join(pool, "next"), "w", 0o600);
  try {
    for await (const piece of content()) {
      sum.update(piece);
      await file.write(piece);
    }
  } finally {
    await file.close();
  }
  return sum.digest("hex");
}

/** Folders first, then files, and symlinks last, so that none of them leads a file elsewhere. */
async function place(rows: readonly ContextRow[], pool: string, dir: string): Promise<void> {
  const at = (path: string): Buffer => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(path, "latin1")]);
  const above = async (path: string): Promise<void> =>
    void (await mkdir(at(dirname(path)), { recursive: true, mode: 0o755 }));
  await mkdir(dir, { recursive: true, mode: 0o755 });
  for (const row of rows) if (row[0] === "directory") await mkdir(at(row[1]), { recursive: true, mode: 0o755 });
  for (const row of rows) {
    if (row[0] !== "file") continue;
    await above(row[1]);
    await copyFile(join(pool, row[2]), at(row[1]));
    await chmod(at(row[1]), row[4] === 1 ? 0o755 : 0o644);
  }
  for (const row of rows) {
    if (row[0] !== "hardlink") continue;
    await above(row[1]);
    if (!(await lstat(at(row[2]))).isFile()) throw new Error(`${row[2]} is no file`);
    await link(at(row[2]), at(row[1]));
  }
  for (const row of rows) {
    if (row[0] !== "symlink") continue;
    await above(row[1]);
    await symlink(Buffer.from(row[2], "latin1"), at(row[1]));
  }
}
