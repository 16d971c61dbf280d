import { OperatorError } from "../../errors/operator-error.ts";
import { compareEntries, fromBytePath, parentOf, type BytePath, type TarEntry } from "../../image/tar-entry.ts";
import { resolveInTree, type BaseTree } from "./base-tree.ts";
import type { Contents, LayerBytes } from "./contents.ts";
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
      readonly contents: Contents;
      readonly from: BytePath;
      readonly to: BytePath;
      readonly owner: Owner;
      readonly mode: number | undefined;
    };

type TreePart = Extract<LayerPart, { kind: "tree" }>;

/** A member of a layer; only files have bytes. */
export interface LayerSource {
  readonly entry: TarEntry;
  readonly bytes?: LayerBytes;
}

/** What is written at a path of the new layer. */
interface Placed extends LayerSource {
  /** Names the file among those that are one file under several names. */
  readonly inode?: string | undefined;
}

/**
 * The members of a layer, in order. Files of a checkout get mode 755 or 644, as git knows no others, and the time
 * `epoch`, as a checkout's times are those of the checkout.
 *
 * @throws {OperatorError} `BUILD_FAILED` where a file would have to be a folder, and naming a socket, pipe or device
 */
export function composeLayer(base: BaseTree, parts: readonly LayerPart[], epoch: number): readonly LayerSource[] {
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

  const add = (file: FoundFile, path: BytePath, { owner, mode, contents }: TreePart): void => {
    if (file.kind === "other")
      throw new OperatorError(
        "BUILD_FAILED",
        `Cannot put "${fromBytePath(file.path)}" into an image: it is a socket, a pipe or a device`,
        { hint: "remove it or name it in .dockerignore" },
      );
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
        bytes: contents.of(file),
        inode: file.inode,
      });
  };

  for (const part of parts) {
    if (part.kind === "folder") {
      folder(resolveInTree(base, part.path, true));
      continue;
    }
    const place = (path: BytePath, last: boolean): BytePath => {
      const below = path.slice(part.from.length).replace(/^\//, "");
      return resolveInTree(base, [part.to, below].filter((piece) => piece !== "").join("/"), last);
    };
    // Files come folder by folder: where the folder is, is looked up once.
    let from: BytePath | undefined;
    let to: BytePath = "";
    for (const file of part.files) {
      if (file.kind !== "directory") {
        if (file.path === part.from) {
          add(file, place(file.path, false), part);
          continue;
        }
        const parent = parentOf(file.path);
        if (parent !== from) {
          from = parent;
          to = place(parent, true);
        }
        const name = parent === "" ? file.path : file.path.slice(parent.length + 1);
        add(file, to === "" ? name : `${to}/${name}`, part);
        continue;
      }
      const path = place(file.path, true);
      folder(path);
      if (file.path === part.from || base.get(path)?.kind === "directory" || path === "") continue;
      const made = placed.get(path);
      if (made !== undefined)
        placed.set(path, {
          entry: { ...made.entry, uid: part.owner.uid, gid: part.owner.gid, mode: part.mode ?? 0o755 },
        });
    }
  }

  return [...placed.values()]
    .sort((a, b) => compareEntries(a.entry, b.entry))
    .map(({ entry, bytes, inode }): LayerSource => {
      if (bytes === undefined) return { entry };
      if (inode !== undefined) {
        const key = `${inode}:${entry.mode}:${entry.uid}:${entry.gid}`;
        const first = firstNames.get(key);
        if (first !== undefined) return { entry: { ...entry, kind: "hardlink", size: 0, target: first } };
        firstNames.set(key, entry.path);
      }
      return { entry, bytes };
    });
}
