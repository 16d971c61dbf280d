import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath, type BytePath } from "../../image/tar-entry.ts";
import { resolveInTree, resolverBelow, type BaseTree } from "./base-tree.ts";
import type { Contents } from "./contents.ts";
import { createPlacement, type LayerSource, type Owner } from "./placement.ts";
import type { FoundFile } from "./walk.ts";

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

/**
 * The members of a layer, in order. Files of a checkout get mode 755 or 644, as git knows no others, and the time
 * `epoch`, as a checkout's times are those of the checkout.
 *
 * @throws {OperatorError} `BUILD_FAILED` where a file would have to be a folder, and naming a socket, pipe or device
 */
export function composeLayer(base: BaseTree, parts: readonly LayerPart[], epoch: number): readonly LayerSource[] {
  const placement = createPlacement(base, epoch);
  for (const part of parts) {
    if (part.kind === "folder") {
      placement.folder(resolveInTree(base, part.path, true));
      continue;
    }
    const { owner, mode, contents } = part;
    const { uid, gid } = owner;
    const resolve = resolverBelow(base, part.to);
    for (const file of part.files) {
      const below = part.from === "" ? file.path : file.path.slice(part.from.length + 1);
      const path = resolve(below, file.kind === "directory");
      if (file.kind === "other") throw noFile(file.path);
      if (file.kind === "directory") {
        if (below === "" || placement.isFolder(path)) placement.folder(path);
        else placement.putFolder(path, { ...owner, mode: mode ?? 0o755, mtime: epoch });
      } else if (file.kind === "symlink")
        placement.put({ path, kind: "symlink", mode: 0o777, uid, gid, mtime: epoch, size: 0, target: file.target });
      else {
        const kept = mode ?? checkoutMode(file.mode);
        const entry = { path, kind: "file", mode: kept, uid, gid, mtime: epoch, size: file.size, target: "" } as const;
        placement.put(entry, contents.of(file), file.inode);
      }
    }
  }
  return placement.members();
}

/** A mode as git would keep it. */
export function checkoutMode(mode: number): number {
  return (mode & 0o100) === 0 ? 0o644 : 0o755;
}

/** @param path in the project, or in the image it comes from */
export function noFile(path: BytePath): OperatorError {
  return new OperatorError(
    "BUILD_FAILED",
    `Cannot put "${fromBytePath(path)}" into an image: it is a socket, a pipe or a device`,
    { hint: "remove it or name it in .dockerignore" },
  );
}
