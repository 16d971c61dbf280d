import { compareEntries, type BytePath } from "../../image/tar-entry.ts";

interface Member {
  readonly entry: { readonly path: BytePath };
}

/**
 * Members by their paths. As long as they come in the order of a layer they are a list, which is filled in a fraction of the
 * time that a map of very many paths takes.
 */
export interface MemberTable<Value extends Member> {
  get(path: BytePath): Value | undefined;
  /** In place of the one at this path. */
  set(member: Value): void;
  /** In the order of a layer. */
  sorted(): readonly Value[];
}

export function createMemberTable<Value extends Member>(): MemberTable<Value> {
  const list: Value[] = [];
  let last: BytePath = "";
  /** All of them, once one came out of order. */
  let map: Map<BytePath, Value> | undefined;

  const mapped = (): Map<BytePath, Value> => {
    map ??= new Map(list.map((member) => [member.entry.path, member]));
    return map;
  };

  return {
    get(path) {
      if (map !== undefined) return map.get(path);
      return path > last ? undefined : list[search(list, path)];
    },
    set(member) {
      const { path } = member.entry;
      if (map === undefined && path > last) {
        list.push(member);
        last = path;
        return;
      }
      const at = map === undefined ? search(list, path) : -1;
      if (at < 0) mapped().set(path, member);
      else list[at] = member;
    },
    sorted: () => (map === undefined ? list : [...map.values()].sort((a, b) => compareEntries(a.entry, b.entry))),
  };
}

/** Where a path is in a sorted list; -1: nowhere. */
function search(list: readonly Member[], path: BytePath): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as Member).entry.path < path) low = middle + 1;
    else high = middle;
  }
  return list[low]?.entry.path === path ? low : -1;
}
