const things = 50_000;

/**
 * A fixed piece of work, of what controllers and simulators do: objects and texts are made, kept in a map, looked up and let
 * go. How long it takes tells how fast the machine is just now, for figures that have no other side.
 *
 * @returns something that depends on all of it, so that none of it can be left out
 */
export function referenceWork(): number {
  const kept = new Map<string, { readonly number: number; readonly before: string }>();
  let before = "";
  for (let number = 0; number < things; number += 1) {
    const name = `thing-${number % (things / 10)}`;
    kept.set(name, { number: number + (kept.get(before)?.number ?? 0), before });
    before = name;
  }
  let sum = 0;
  for (const { number, before: name } of kept.values()) sum += (number % 7) + name.length;
  return sum;
}
