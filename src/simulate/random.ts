/** Numbers that follow from a seed alone. */
export interface Random {
  /** A whole number from 0 to `below` − 1. */
  below(below: number): number;
  /** A whole number of `least` to `most`. */
  between(least: number, most: number): number;
  /** True in `percent` of all cases. */
  chance(percent: number): boolean;
  pick<const Value>(values: readonly [Value, ...Value[]]): Value;
}

/**
 * xorshift32 after the seed's bits have been mixed, so that seeds beside each other tell different stories.
 *
 * @see Marsaglia, Xorshift RNGs, 2003; the mixer is MurmurHash3's finaliser
 */
export function randomFrom(seed: number): Random {
  let state = mix(seed | 0) || 1;
  function below(bound: number): number {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * bound);
  }
  return {
    below,
    between: (least, most) => least + below(most - least + 1),
    chance: (percent) => below(100) < percent,
    pick: (values) => values[below(values.length)] ?? values[0],
  };
}

function mix(seed: number): number {
  let bits = seed + 0x9e3779b9;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
