import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { OperatorError } from "../../errors/operator-error.ts";
import { compareEntries, fromBytePath, parentOf, type BytePath, type TarEntry } from "../../image/tar-entry.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { resolveInTree, type BaseTree } from "./base-tree.ts";
import type { FoundFile } from "./walk.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What a new layer adds, in the order it is to be added. */
export type LayerPart =
  /** A folder that must exist; one of the layers below is left as it is. */
  | { readonly kind: "folder"; readonly path: BytePath }
  /** Files found under `from`, put at `to`: `from` itself becomes `to`. */
  | {
      readonly kind: "tree";
      readonly files: readonly FoundFile[];
      readonly from: BytePath;
      readonly to: BytePath;
      readonly owner: Owner;
      readonly mode: number | undefined;
    };

/** What is written at a path of the new layer. */
interface Placed {
  readonly entry: TarEntry;
  readonly file?: FoundFile;
}

/**
 * The members of a layer, in order. Files of a checkout get mode 755 or 644, as git knows no others, and the time
 * `epoch`, as a checkout's times are those of the checkout.
 *
 * @throws {OperatorError} `BUILD_FAILED` where a file would have to be a folder
 */
export function composeLayer(base: BaseTree, parts: readonly LayerPart[], epoch: number): readonly TarSource[] {
  const placed = new Map<BytePath, Placed>();
  const firstNames = new Map<string, BytePath>();

  const folder = (path: BytePath): void => {
    if (path === "" || placed.get(path)?.entry.kind === "directory") return;
    if (placed.has(path))
      throw new OperatorError(
        "BUILD_FAILED",
        `Cannot make the folder "/${fromBytePath(path)}" in the image: a file is there`,
        { hint: "copy to another place" },
      );
    folder(parentOf(path));
    const below = base.get(path);
    const known = below?.kind === "directory" ? below : { mode: 0o755, uid: 0, gid: 0 };
    placed.set(path, {
      entry: {
        path,
        kind: "directory",
        mode: known.mode,
        uid: known.uid,
        gid: known.gid,
        mtime: epoch,
        size: 0,
        target: "",
      },
    });
  };

  const add = (file: FoundFile, path: BytePath, owner: Owner, mode: number | undefined): void => {
    folder(parentOf(path));
    if (placed.get(path)?.entry.kind === "directory")
      throw new OperatorError(
        "BUILD_FAILED",
        `Cannot copy "${fromBytePath(file.path)}" to "/${fromBytePath(path)}": a folder is there`,
        { hint: "copy to another place" },
      );
    const common = { path, uid: owner.uid, gid: owner.gid, mtime: epoch };
    if (file.kind === "symlink")
      placed.set(path, { entry: { ...common, kind: "symlink", mode: 0o777, size: 0, target: file.target } });
    else
      placed.set(path, {
        entry: {
          ...common,
          kind: "file",
          mode: mode ?? ((file.mode & 0o100) === 0 ? 0o644 : 0o755),
          size: file.size,
          target: "",
        },
        file,
      });
  };

  for (const part of parts) {
    if (part.kind === "folder") {
      folder(resolveInTree(base, part.path, true));
      continue;
    }
    for (const file of part.files) {
      const below = file.path.slice(part.from.length).replace(/^\//, "");
      const wanted = [part.to, below].filter((piece) => piece !== "").join("/");
      const path = resolveInTree(base, wanted, file.kind === "directory");
      if (file.kind !== "directory") add(file, path, part.owner, part.mode);
      else if (below === "") folder(path);
      else if (base.get(path)?.kind === "directory" || path === "") folder(path);
      else {
        folder(path);
        const made = placed.get(path);
        if (made !== undefined)
          placed.set(path, {
            entry: { ...made.entry, uid: part.owner.uid, gid: part.owner.gid, mode: part.mode ?? 0o755 },
          });
      }
    }
  }

  return [...placed.values()]
    .sort((a, b) => compareEntries(a.entry, b.entry))
    .map(({ entry, file }): TarSource => {
      if (file === undefined) return { entry };
      if (file.inode !== undefined) {
        const key = `${file.inode}:${entry.mode}:${entry.uid}:${entry.gid}`;
        const first = firstNames.get(key);
        if (first !== undefined) return { entry: { ...entry, kind: "hardlink", size: 0, target: first } };
        firstNames.set(key, entry.path);
      }
      return { entry, content: () => readPieces(file) };
    });
}

const pieceBytes = 1 << 20;
const buffer = Buffer.allocUnsafeSlow(pieceBytes);

/**
 * A file's bytes, in pieces that are only valid until the next one is asked for.
 *
 * @throws {OperatorError} `BUILD_FAILED` when the file changes while it is read
 */
export function* readPieces(file: FoundFile): Generator<Uint8Array> {
  const descriptor = openSync(file.location, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    let left = file.size;
    while (left > 0) {
      const count = readSync(descriptor, buffer, 0, Math.min(left, pieceBytes), null);
      if (count === 0) break;
      left -= count;
      yield buffer.subarray(0, count);
    }
    if (left > 0 || fstatSync(descriptor).size !== file.size) {
      throw new OperatorError(
        "BUILD_FAILED",
        `Cannot put "${fromBytePath(file.path)}" into an image: it changed while it was read`,
        { hint: "build again when nothing writes to the project" },
      );
    }
  } finally {
    closeSync(descriptor);
  }
}
