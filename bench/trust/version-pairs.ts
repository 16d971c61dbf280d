import { randomFrom } from "../lib/random.ts";

/** Debian versions that are near each other in every way an order can get wrong, from a seed. */
export function versionPairs(
  real: readonly string[],
  count: number,
  seed: number,
): readonly (readonly [string, string])[] {
  const random = randomFrom(seed);
  const one = <T>(of: ArrayLike<T>): T => of[random(of.length)] as T;
  const alphabet = "0019aAzZ~~++.--";

  function made(): string {
    let text = random(6) === 0 ? `${random(3)}:` : "";
    text += one("0123456789");
    for (let left = random(9); left > 0; left -= 1) text += one(alphabet);
    return text.endsWith("-") ? `${text}1` : text;
  }
  function changed(version: string): string {
    const begin = version.indexOf(":") + 2;
    const at = begin + random(Math.max(1, version.length - begin + 1));
    const way = random(4);
    const text =
      way === 0
        ? version.slice(0, at) + one(alphabet) + version.slice(at)
        : way === 1
          ? version.slice(0, at) + version.slice(at + 1)
          : way === 2
            ? version.slice(0, at) + one(alphabet) + version.slice(at + 1)
            : version + one(["~", "+b1", "~bpo12+1", "+deb12u2", "0", ".0", "-0", "-1"]);
    return text.endsWith("-") ? `${text}0` : text;
  }
  const ways = [
    () => [made(), made()] as const,
    () => {
      const version = made();
      return [version, changed(version)] as const;
    },
    () => [one(real), one(real)] as const,
    () => {
      const version = one(real);
      return [version, changed(version)] as const;
    },
  ];
  return Array.from(
    { length: count },
    (_, index) => (ways[index % ways.length] ?? made)() as readonly [string, string],
  );
}
