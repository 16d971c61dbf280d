import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath, parentOf, type BytePath, type TarEntry } from "../../image/tar-entry.ts";
import type { BaseTree } from "./base-tree.ts";
import type { LayerBytes } from "./contents.ts";
import { createMemberTable } from "./member-table.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A member of a layer; only files have bytes. */
export interface LayerSource {
  readonly entry: TarEntry;
  readonly bytes?: LayerBytes;
}

/** What is written at a path of the new layer. */
interface Placed extends LayerSource {
  readonly inode?: string | undefined;
}

type Attributes = Pick<TarEntry, "mode" | "uid" | "gid" | "mtime">;

/** A layer on its way: what is put where, on top of the layers below. Paths are real ones, symlinks already followed. */
export interface Placement {
  /** Whether a folder is at a path, in the layers below or here. */
  isFolder(path: BytePath): boolean;
  /** Makes sure of a folder; one that is there stays as it is, a new one and its new parents get this owner and mode 755. */
  folder(path: BytePath, owner?: Owner): void;
  /** A folder with these attributes, also where one is there. */
  putFolder(path: BytePath, attributes: Attributes): void;
  /** A file or symlink, in place of a file or symlink. @param inode equal for names of one file */
  put(entry: TarEntry, bytes?: LayerBytes, inode?: string): void;
  /** All members in the order of a layer. */
  members(): readonly LayerSource[];
}

const root: Owner = { uid: 0, gid: 0 };

/**
 * @param epoch the time of folders that must be named in the layer, whole seconds
 * @throws {OperatorError} (its functions) `BUILD_FAILED` where a file would have to be a folder or a folder a file
 */
export function createPlacement(base: BaseTree, epoch: number): Placement {
  const placed = createMemberTable<Placed>();
  /** Of the file that was put last: files come folder by folder, and no folder goes away again. */
  let lastParent: BytePath = "";
  let hasLinks = false;

  const folder = (path: BytePath, owner: Owner = root): void => {
    const here = placed.get(path);
    if (path === "" || here?.entry.kind === "directory") return;
    if (here !== undefined) throw refused(`make the folder "/${fromBytePath(path)}" in the image: a file is there`);
    folder(parentOf(path), owner);
    const below = base.get(path);
    const { mode, uid, gid } = below?.kind === "directory" ? below : { mode: 0o755, ...owner };
    checkName(path, path.lastIndexOf("/") + 1);
    placed.set({ entry: { path, kind: "directory", mode, uid, gid, mtime: epoch, size: 0, target: "" } });
  };
  const isFolder = (path: BytePath): boolean => {
    const here = placed.get(path)?.entry.kind;
    return path === "" || (here === undefined ? base.get(path)?.kind === "directory" : here === "directory");
  };

  return {
    isFolder,
    folder,
    putFolder(path, attributes) {
      folder(path);
      const made = placed.get(path);
      if (made !== undefined) placed.set({ entry: { ...made.entry, ...attributes } });
    },
    put(entry, bytes, inode) {
      const { path } = entry;
      const slash = path.lastIndexOf("/");
      if (slash !== lastParent.length || !path.startsWith(lastParent)) {
        lastParent = parentOf(path);
        folder(lastParent);
      }
      if ((placed.get(path)?.entry ?? base.get(path))?.kind === "directory" || path === "")
        throw refused(`put a file at "/${fromBytePath(path)}" in the image: a folder is there`);
      checkName(path, slash + 1);
      hasLinks ||= inode !== undefined;
      placed.set(bytes === undefined ? { entry } : { entry, bytes, inode });
    },
    members() {
      if (!hasLinks) return placed.sorted();
      const firstNames = new Map<string, BytePath>();
      return placed.sorted().map((member): LayerSource => {
        const { entry, inode } = member;
        if (inode === undefined) return member;
        const key = `${inode}:${entry.mode}:${entry.uid}:${entry.gid}`;
        const first = firstNames.get(key);
        if (first !== undefined) return { entry: { ...entry, kind: "hardlink", size: 0, target: first } };
        firstNames.set(key, entry.path);
        return member;
      });
    },
  };
}

/** In a layer such a name does not stand for a file: it would take others away. @see OCI image specification, "Whiteouts" */
function checkName(path: BytePath, nameAt: number): void {
  if (path.startsWith(".wh.", nameAt))
    throw refused(
      `put "/${fromBytePath(path)}" into an image: names with .wh. take files away there`,
      "give it another name",
    );
}

function refused(action: string, hint = "copy to another place"): OperatorError {
  return new OperatorError("BUILD_FAILED", `Cannot ${action}`, { hint });
}
