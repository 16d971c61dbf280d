import { OperatorError } from "../errors/operator-error.ts";
import { fromBytePath, parentOf, type BytePath, type TarEntry, type TarKind } from "./tar-entry.ts";

/** Sum of the names in one layer, in bytes: they are all kept while it is looked at. */
const mostNameBytes = 128 * 2 ** 20;

/**
 * Looks at a layer's members one after the other for what different readers would take differently, or what leads out
 * of where it is unpacked: members below something that is no folder (a symlink), the same path twice, hard links to
 * what is not there, device nodes.
 *
 * @returns a function that throws {OperatorError} `VERIFICATION_FAILED` for the first such member
 */
export function createLayerCheck(): (entry: TarEntry) => void {
  const kinds = new Map<BytePath, TarKind>();
  const soundFolders = new Set<BytePath>([""]);
  let nameBytes = 0;

  const checkParents = (path: BytePath): void => {
    for (let above = parentOf(path); !soundFolders.has(above); above = parentOf(above)) {
      const kind = kinds.get(above);
      if (kind !== undefined && kind !== "directory")
        throw refused(`"${shown(path)}" is below "${shown(above)}", which is a ${kind} and no folder`);
      soundFolders.add(above);
    }
  };

  return ({ path, kind, target }) => {
    checkParents(path);
    if (kind === "character" || kind === "block")
      throw refused(`"${shown(path)}" is a device node; instances get theirs when they start`);
    const before = kinds.get(path);
    const folderHere = kind === "directory";
    if (before !== undefined && !(folderHere && before === "directory"))
      throw refused(`"${shown(path)}" is there twice`);
    if (!folderHere && soundFolders.has(path)) throw refused(`"${shown(path)}" is a folder before and a ${kind} here`);
    if (kind === "hardlink") {
      checkParents(target);
      const linked = kinds.get(target);
      if (linked === undefined || linked === "directory")
        throw refused(`"${shown(path)}" is a hard link to "${shown(target)}", which is no file before it`);
    }
    if (before === undefined) {
      nameBytes += path.length;
      if (nameBytes > mostNameBytes) throw refused(`the names in it have more than ${mostNameBytes} bytes`);
      kinds.set(path, kind);
    }
  };
}

function shown(path: BytePath): string {
  return fromBytePath(path.slice(0, 200));
}

function refused(state: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot take the layer: ${state}`, {
    hint: "no genuine image has that; build it anew, or get it again from where it came from",
  });
}
