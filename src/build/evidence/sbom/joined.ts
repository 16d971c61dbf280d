import { parentOf, type BytePath } from "../../../image/tar-entry.ts";
import type { FileFact, Found, LayerFacts } from "./found.ts";
import { isBelow, mergedUsr } from "./layer-facts.ts";
import { joinMarks, PathMarks, type MarkedPaths } from "./marks.ts";

/** What layers tell together. */
export interface JoinedFacts {
  readonly found: ReadonlyMap<BytePath, Found>;
  /** Files that belong to nobody in their own layer. */
  readonly files: ReadonlyMap<BytePath, FileFact>;
  /** Lists of files that belong to somebody, by path of the list. */
  readonly owned: ReadonlyMap<BytePath, MarkedPaths>;
  readonly unlisted: number;
  readonly unread: readonly BytePath[];
}

/** Puts together what layers tell, lowest first: the same for equal layers in whatever way it is come by. */
export function joinFacts(layers: readonly LayerFacts[]): JoinedFacts {
  const found = new Map<BytePath, Found>();
  const files = new Map<BytePath, FileFact>();
  const owned = new Map<BytePath, MarkedPaths>();
  let unlisted = 0;
  let unread: readonly BytePath[] = [];
  for (const facts of layers) {
    remove([found, files, owned], facts);
    for (const file of facts.files) {
      found.delete(file[0]);
      files.set(file[0], file);
    }
    for (const [path, said] of facts.found) {
      // A lock file says something, and belongs to nobody all the same.
      if (said.kind !== "locked") files.delete(path);
      owned.delete(path);
      found.set(path, said);
    }
    for (const [list, marks] of facts.owned) owned.set(list, marks);
    unlisted += facts.unlisted;
    unread = [...unread, ...facts.unread].slice(0, mostUnread);
  }
  return { found, files, owned, unlisted, unread };
}

export const mostUnread = 100;

function remove(maps: readonly Map<BytePath, unknown>[], { removed, emptied }: LayerFacts): void {
  if (removed.length === 0 && emptied.length === 0) return;
  const gone = new Set(removed);
  const below = new Set([...removed, ...emptied]);
  const isGone = (path: BytePath): boolean => gone.has(path) || below.has("") || isBelow(path, below);
  for (const map of maps) for (const path of map.keys()) if (isGone(path)) map.delete(path);
}

/** Whose files are whose: those of packages by their lists, and those in the folders of npm's packages. */
export interface Ownership {
  readonly lists: MarkedPaths;
  readonly folders: readonly BytePath[];
}

export function ownershipOf({ found, owned }: Pick<JoinedFacts, "found" | "owned">): Ownership {
  const folders: BytePath[] = [];
  for (const [path, { kind }] of found)
    if (kind === "installed" && path.endsWith("/package.json")) folders.push(parentOf(path));
  return { lists: joinMarks([...owned.values()]), folders };
}

/** @returns a function that says whether a file belongs to nobody */
export function nobodysBy(ownerships: readonly Ownership[]): (file: FileFact) => boolean {
  const marks = ownerships.map(({ lists }) => new PathMarks(lists));
  const folders = new Set(ownerships.flatMap((one) => one.folders));
  return ([path]) => {
    const merged = mergedUsr(path);
    return !marks.some((list) => list.has(merged)) && !isBelow(path, folders);
  };
}
