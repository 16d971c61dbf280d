import { lstatSync, readdirSync, readlinkSync, type BigIntStats } from "node:fs";
import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath, type BytePath } from "../../image/tar-entry.ts";

/** A file system object under a root, as found. */
export interface FoundFile {
  /** Relative to the root; "" is the root itself. */
  readonly path: BytePath;
  readonly kind: "file" | "directory" | "symlink";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since the epoch. */
  readonly mtime: number;
  readonly size: number;
  readonly target: string;
  /** Names one inode of the machine, for hard links; undefined where there is one name only. */
  readonly inode: string | undefined;
  /** Changes whenever the file may have changed. */
  readonly fingerprint: string;
  /** Newest change of the inode, ms since the epoch. */
  readonly changedAtMs: number;
  readonly location: Buffer;
}

const mostFiles = 1_000_000;

/**
 * Everything at and below a path of a root, parents first. Symlinks are found, not followed.
 *
 * @param skip paths that stay out, but what is below them is looked at, for a later rule may take it back
 * @throws {OperatorError} `BUILD_FAILED` naming a socket, pipe or device, or beyond a million files
 */
export function walkTree(root: string, start: BytePath, skip: (path: BytePath) => boolean): readonly FoundFile[] {
  const found: FoundFile[] = [];
  const rootBytes = Buffer.from(root);
  const visit = (path: BytePath): void => {
    const location = path === "" ? rootBytes : Buffer.concat([rootBytes, Buffer.from(`/${path}`, "latin1")]);
    const stats = lstatSync(location, { bigint: true });
    const kind = stats.isDirectory()
      ? "directory"
      : stats.isFile()
        ? "file"
        : stats.isSymbolicLink()
          ? "symlink"
          : undefined;
    const skipped = path !== "" && skip(path);
    if (kind === undefined) {
      if (skipped) return;
      throw new OperatorError(
        "BUILD_FAILED",
        `Cannot put "${fromBytePath(path)}" into an image: it is a socket, a pipe or a device`,
        { hint: "remove it or name it in .dockerignore" },
      );
    }
    if (!skipped) {
      found.push(describeFile(path, kind, stats, location));
      if (found.length > mostFiles)
        throw new OperatorError("BUILD_FAILED", `Cannot build from "${root}": more than ${mostFiles} files`, {
          hint: "name what does not belong into the image in .dockerignore",
        });
    }
    if (kind !== "directory" || (skipped && path === ".git")) return;
    const names = readdirSync(location, { encoding: "buffer" }).map((name) => name.toString("latin1"));
    for (const name of names.sort()) visit(path === "" ? name : `${path}/${name}`);
  };
  visit(start);
  return found;
}

function describeFile(path: BytePath, kind: FoundFile["kind"], stats: BigIntStats, location: Buffer): FoundFile {
  return {
    path,
    kind,
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: Number(stats.mtimeMs / 1000n),
    size: kind === "file" ? Number(stats.size) : 0,
    target: kind === "symlink" ? readlinkSync(location, { encoding: "buffer" }).toString("latin1") : "",
    inode: kind === "file" && stats.nlink > 1n ? `${stats.dev}:${stats.ino}` : undefined,
    fingerprint:
      kind === "directory"
        ? `${stats.mode}`
        : `${stats.dev}:${stats.ino}:${stats.mode}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`,
    changedAtMs: kind === "directory" ? 0 : Number(stats.ctimeMs),
    location,
  };
}
