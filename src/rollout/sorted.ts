/** Where a name stands in a sorted list, or would stand. */
export function positionIn<Name extends string>(sorted: readonly Name[], name: Name): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? name) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts a name into a sorted list, where it is not in it yet. */
export function insertInto<Name extends string>(sorted: Name[], name: Name): void {
  const at = positionIn(sorted, name);
  if (sorted[at] !== name) sorted.splice(at, 0, name);
}

/** Takes a name out of a sorted list, where it is in it. */
export function removeFrom<Name extends string>(sorted: Name[], name: Name): void {
  const at = positionIn(sorted, name);
  if (sorted[at] === name) sorted.splice(at, 1);
}
